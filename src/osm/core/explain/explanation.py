"""The answer to "may this request pass, where does it go, and which object says so"."""

from collections.abc import Iterable

import msgspec

from osm.core.model.origin import Origin


class Question(msgspec.Struct, frozen=True):
    """A request, or with an empty method a TCP connection."""

    source: str
    """`[ns/]workload-or-app`; an IPv4 address is a caller outside of the mesh."""
    destination: str
    """`host[:port]` as the application would write it."""
    method: str = ""
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    """Names in any case. `host` (or `:authority`) takes the place of the destination as authority."""

    @property
    def authority(self) -> str:
        """What the request says that it is for; the connection goes to `destination` all the same."""
        given = [value for name, value in self.headers if name.lower() in AUTHORITY]
        return given[0] if given else self.destination


AUTHORITY = ("host", ":authority")


class Step(msgspec.Struct, frozen=True):
    """One decision on the way. `outcome` is `ok`, `denied`, `failed` or `info`."""

    title: str
    outcome: str
    text: str
    origins: tuple[Origin, ...] = ()


class Explanation(msgspec.Struct, frozen=True):
    """The verdict, how it came about, and what would change it. Fields and verdicts stay as they are.

    Verdicts: `allowed`; `denied`, `partly denied` (some backends of a split deny it); `no route` (no
    such service, or none of its rules fits), `no backend`, `no endpoints` (with `allowed`: by the
    rules, but nobody is ready, or nobody has a proxy); `refused` (400, or a call around the proxies)
    and `redirected` (307), answered before any rule looks; `unknown source`, `bad destination`.
    """

    question: Question
    verdict: str
    allowed: bool
    summary: str
    steps: tuple[Step, ...]
    backends: tuple[tuple[str, float], ...] = ()
    """`<ns>/<service>:<port>` and the percentage of requests that it gets."""
    remedy: str = ""
    """YAML that would allow what is denied, ready for `osm apply -f -`."""
    advice: tuple[str, ...] = ()
    """What to do, in words: whole sentences."""
    workloads: tuple[str, ...] = ()
    """`<ns>/<workload>` of those whose proxies take part; the source's comes first."""


def ended(
    question: Question,
    steps: Iterable[Step],
    verdict: str,
    summary: str,
    advice: Iterable[str] = (),
    remedy: str = "",
) -> Explanation:
    """A request that does not arrive."""
    return Explanation(
        question, verdict, False, summary, tuple(steps), remedy=remedy, advice=tuple(advice)
    )
