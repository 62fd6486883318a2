"""Who talks to whom, how fast and with what success: from the proxies' counters, sample by sample.

Each proxy counts what its workload sends (`reference/osm.md` §5.3). Counters begin at zero when a
proxy starts, or when Envoy drops a series that nobody used: each series is compared with itself,
and what went down has begun again. Pure: times are the caller's, in seconds of any steady clock.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from math import inf

import msgspec

from osm.telemetry.exposition import Series, parse_series
from osm.telemetry.histogram import quantile

UNKNOWN = "unknown"
"""What stands in for a label that Envoy left empty: nothing answered, so nothing has a name."""

SERIES_LIMIT = 200_000
EDGE_LIMIT = 20_000

_REQUESTS = "osm_request_total"
_DURATION = "osm_request_duration_ms"
_TCP: Mapping[str, tuple[str, ...]] = {
    "osm_tcp_connections_opened_total": ("opened",),
    "osm_tcp_connections_closed_total": ("closed",),
    # Counted when a connection ends, by proxies that do not count its beginning.
    "osm_tcp_connections_total": ("opened", "closed"),
    "osm_tcp_bytes_sent_total": ("sent",),
    "osm_tcp_bytes_received_total": ("received",),
}


class Edge(msgspec.Struct, frozen=True, order=True, gc=False):
    """From one app to another. `protocol` is `http` or `tcp`."""

    source_namespace: str
    source: str
    destination_namespace: str
    destination: str
    protocol: str


class EdgeTraffic(msgspec.Struct, frozen=True, gc=False):
    """What passed along an edge: rates per second over the window, and totals.

    For TCP a request is a connection, and bytes count when it ends.
    """

    edge: Edge
    requests_per_second: float
    codes_per_second: tuple[tuple[int, float], ...]
    """By response code; 0 is a request that the client gave up."""
    p50_ms: float | None
    p99_ms: float | None
    total: int
    codes_total: tuple[tuple[int, int], ...]
    sent_bytes_per_second: float = 0.0
    received_bytes_per_second: float = 0.0
    sent_bytes_total: int = 0
    received_bytes_total: int = 0
    connections: int = 0
    """TCP connections that are open now."""

    def success_percent(self, denied_per_second: float = 0.0) -> float | None:
        """The share of answers that are not 5xx, of the requests that the mesh let in; None without any.

        A 403 of the mesh looks like one of the application, so that whether there are denials must come
        from the access log; while there are, every 403 is taken for one. Requests that the client gave
        up count neither way.
        """
        answers = {code: rate for code, rate in self.codes_per_second if code}
        if denied_per_second > 0:
            answers.pop(403, None)
        total = sum(answers.values())
        if total <= 0:
            return None
        return 100.0 * (1.0 - sum(rate for code, rate in answers.items() if code >= 500) / total)


class _Counts:
    """Sums for one edge. Grows only."""

    __slots__ = ("buckets", "closed", "codes", "opened", "received", "sent")

    def __init__(self) -> None:
        self.codes: dict[int, float] = {}
        self.buckets: dict[float, float] = {}
        self.opened = self.closed = self.sent = self.received = 0.0

    def add(self, other: "_Counts", scale: float = 1.0) -> None:
        for code, count in other.codes.items():
            self.codes[code] = self.codes.get(code, 0.0) + count * scale
        for bound, count in other.buckets.items():
            self.buckets[bound] = self.buckets.get(bound, 0.0) + count * scale
        self.opened += other.opened * scale
        self.closed += other.closed * scale
        self.sent += other.sent * scale
        self.received += other.received * scale

    def count(self, series: Series, amount: float) -> None:
        """Add what one series grew by."""
        if series.name == _REQUESTS:
            code = _to_int(series.labels.get("response_code", ""))
            self.codes[code] = self.codes.get(code, 0.0) + amount
        elif series.name == f"{_DURATION}_bucket":
            bound = _to_bound(series.labels.get("le", ""))
            self.buckets[bound] = self.buckets.get(bound, 0.0) + amount
        else:
            for field in _TCP.get(series.name, ()):
                setattr(self, field, getattr(self, field) + amount)


class _Proxy:
    """The newest values of one proxy's series, and what each sample of the window added."""

    def __init__(self) -> None:
        self.values: Mapping[str, float] = {}
        self.at: float | None = None
        self.frames: deque[tuple[float, float, dict[Edge, _Counts]]] = deque()
        self.open: dict[Edge, float] = {}
        """TCP connections opened and not closed since the proxy started."""


class TrafficWindow:
    """Adds up samples of all proxies. `window_s` is how far back rates look."""

    def __init__(self, window_s: float = 5.0) -> None:
        self.window_s = window_s
        self._proxies: dict[str, _Proxy] = {}
        self._totals: dict[Edge, _Counts] = {}
        self._series: dict[str, tuple[Edge, Series] | None] = {}

    def add(self, proxy: str, at: float, samples: Mapping[str, float]) -> None:
        """Take a proxy's samples (`read_samples`). A proxy's first ones count in totals only."""
        state = self._proxies.setdefault(proxy, _Proxy())
        before = state.at
        if before is not None and at <= before:
            return
        grown = self._growth(state, samples)
        for edge, counts in grown.items():
            if edge.protocol == "tcp":
                state.open[edge] = state.open.get(edge, 0.0) + counts.opened - counts.closed
            if edge in self._totals or len(self._totals) < EDGE_LIMIT:
                self._totals.setdefault(edge, _Counts()).add(counts)
        state.values, state.at = samples, at
        if before is not None:
            state.frames.append((before, at, grown))
            while state.frames and state.frames[0][1] <= at - self.window_s:
                state.frames.popleft()

    def keep_only(self, proxies: Iterable[str]) -> None:
        """Forget proxies that are gone. What they sent stays in the totals."""
        for gone in self._proxies.keys() - set(proxies):
            del self._proxies[gone]

    def edges(self, now: float) -> tuple[EdgeTraffic, ...]:
        """All edges that ever had traffic, sorted, with their rates at this moment."""
        recent: dict[Edge, _Counts] = {}
        connections: dict[Edge, float] = {}
        for proxy in self._proxies.values():
            for edge, count in proxy.open.items():
                connections[edge] = connections.get(edge, 0.0) + count
            # A frame is the time from one sample to the next: rates are exact at any interval.
            frames = [frame for frame in proxy.frames if frame[1] > now - self.window_s]
            if not frames:
                continue
            scale = 1.0 / (frames[-1][1] - frames[0][0])
            for _, _, grown in frames:
                for edge, counts in grown.items():
                    recent.setdefault(edge, _Counts()).add(counts, scale)
        nothing = _Counts()
        return tuple(
            _summarise(
                edge, self._totals[edge], recent.get(edge, nothing), connections.get(edge, 0.0)
            )
            for edge in sorted(self._totals)
        )

    def _growth(self, proxy: _Proxy, samples: Mapping[str, float]) -> dict[Edge, _Counts]:
        grown: dict[Edge, _Counts] = {}
        for key, value in samples.items():
            old = proxy.values.get(key, 0.0)
            if value == old:
                continue
            if value < old:
                proxy.open.clear()  # a proxy that started again has no old connections
            known = self._lookup(key)
            if known is not None:
                edge, series = known
                grown.setdefault(edge, _Counts()).count(
                    series, value if value < old else value - old
                )
        return grown

    def _lookup(self, key: str) -> tuple[Edge, Series] | None:
        try:
            return self._series[key]
        except KeyError:
            if len(self._series) >= SERIES_LIMIT:
                self._series.clear()  # only a cache
            known = self._series[key] = _locate(parse_series(key))
            return known


def _locate(series: Series) -> tuple[Edge, Series] | None:
    if series.name in _TCP:
        protocol = "tcp"
    elif series.name in (_REQUESTS, f"{_DURATION}_bucket"):
        protocol = "http"
    else:
        return None
    labels = series.labels
    edge = Edge(
        labels.get("source_namespace") or UNKNOWN,
        labels.get("source_name") or UNKNOWN,
        labels.get("destination_namespace") or UNKNOWN,
        labels.get("destination_name") or UNKNOWN,
        protocol,
    )
    return edge, series


def _summarise(edge: Edge, total: _Counts, recent: _Counts, connections: float) -> EdgeTraffic:
    is_tcp = edge.protocol == "tcp"
    return EdgeTraffic(
        edge=edge,
        requests_per_second=recent.opened if is_tcp else sum(recent.codes.values()),
        codes_per_second=tuple(sorted(recent.codes.items())),
        p50_ms=quantile(0.5, recent.buckets),
        p99_ms=quantile(0.99, recent.buckets),
        total=round(total.opened if is_tcp else sum(total.codes.values())),
        codes_total=tuple(sorted((code, round(count)) for code, count in total.codes.items())),
        sent_bytes_per_second=recent.sent,
        received_bytes_per_second=recent.received,
        sent_bytes_total=round(total.sent),
        received_bytes_total=round(total.received),
        connections=max(0, round(connections)),
    )


def _to_int(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _to_bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return inf
