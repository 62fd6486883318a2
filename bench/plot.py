"""The growth table as a picture."""

from pathlib import Path

from bench.figures import Table

_X = {"services": 1, "proxies": 2, "both": 2}
_Y = (("p50, ms", 3), ("CPU, ms", 5), ("private, MiB", 7))


def draw_growth(table: Table, to: Path) -> None:
    """Draw latency, CPU and memory against what grows. The same table gives the same bytes."""
    from matplotlib import rc_context  # noqa: PLC0415 - half a second, for one case
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    with rc_context({"svg.hashsalt": "osm", "font.size": 8}):
        figure = Figure(figsize=(9, 2.8), layout="constrained")
        places = figure.subplots(1, len(_Y))
        for place, (label, column) in zip(places, _Y, strict=True):
            for what, across in _X.items():
                rows = [row for row in table.rows if row[0] == what]
                place.plot(
                    [int(row[across]) for row in rows],
                    [float(row[column].replace(",", "")) for row in rows],
                    marker="o", markersize=3, label=what,
                )  # fmt: skip
            place.set(xscale="log", ylim=(0, None), title=label, xlabel="how many")
        places[0].legend(title="what grows")
        figure.savefig(to, format="svg", metadata={"Date": None})
