"""The answer to "may this request pass, where does it go, and which object says so"."""

import msgspec

from osm.core.model.origin import Origin


class Question(msgspec.Struct, frozen=True):
    """A request, or with an empty method a TCP connection. `source` is `[ns/]workload-or-app`."""

    source: str
    destination: str
    """`host[:port]` as the application would write it."""
    method: str = ""
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()


class Step(msgspec.Struct, frozen=True):
    """One decision on the way. `outcome` is `ok`, `denied`, `failed` or `info`."""

    title: str
    outcome: str
    text: str
    origins: tuple[Origin, ...] = ()


class Explanation(msgspec.Struct, frozen=True):
    """The verdict, how it came about, and what would change it.

    Verdicts are `allowed`, `denied`, `partly denied`, `no route`, `no backend`, `no endpoints`,
    `redirected`, `unknown source` and `bad destination`.
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
