"""What other pages, other names and hostile text can do to the page, in a real browser: nothing."""

import re
from collections.abc import Iterator
from typing import TypeVar

import msgspec
import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from osm.core.explain.view import MeshView
from osm.core.model.origin import Finding, Origin
from osm.dashboard.feed import Feed
from osm.testing.mesh_api import FakeMeshApi

from .conftest import Served

TABS = ("graph", "workloads", "proxies", "objects", "denials", "explain")
CANARY = "attacker.test"
RUN = "window.__xss=1"
PAYLOADS = tuple(
    payload.replace("RUN", RUN).replace("CANARY", CANARY)
    for payload in (
        "<script>RUN</script>",
        "<ScRiPt>RUN</ScRiPt>",
        "</script><script>RUN</script>",
        "<script src=//CANARY/x.js></script>",
        "<img src=x onerror=RUN>",
        "<img src=//CANARY/x.png>",
        '"><img src=x onerror=RUN>',
        "'><img src=x onerror=RUN>",
        "<svg onload=RUN>",
        "<svg><script>RUN</script></svg>",
        "<svg><animate onbegin=RUN attributeName=x dur=1s>",
        "<svg><use href='data:image/svg+xml,<svg onload=RUN>'></svg>",
        "<iframe srcdoc='<script>parent.RUN</script>'></iframe>",
        "<iframe src=javascript:parent.RUN></iframe>",
        "<iframe src=//CANARY/></iframe>",
        "<object data=javascript:RUN></object>",
        "<embed src=//CANARY/>",
        "<body onload=RUN>",
        "<details open ontoggle=RUN>",
        "<input autofocus onfocus=RUN>",
        "<select autofocus onfocus=RUN>",
        "<textarea autofocus onfocus=RUN>",
        "<video><source onerror=RUN></video>",
        "<audio src=x onerror=RUN>",
        "<marquee onstart=RUN>x</marquee>",
        "<style>@import '//CANARY/x.css'</style>",
        "<style>*{background:url(//CANARY/x.png)}</style>",
        "<link rel=stylesheet href=//CANARY/x.css>",
        "<base href=//CANARY/>",
        "<meta http-equiv=refresh content='0;url=//CANARY/'>",
        "<form action=//CANARY/><button autofocus>",
        "<a href=javascript:RUN>x</a>",
        "javascript:RUN",
        "JaVaScRiPt:RUN",
        "java\tscript:RUN",
        "\x01javascript:RUN",
        "data:text/html,<script>RUN</script>",
        "vbscript:RUN",
        "//CANARY/x",
        "http://CANARY/<script>RUN</script>",
        '" onmouseover=RUN x="',
        "' onfocus=RUN autofocus x='",
        "` onload=RUN `",
        "x onerror=RUN",
        "{{constructor.constructor('RUN')()}}",
        "${RUN}",
        "#{RUN}",
        "<%= RUN %>",
        "]]><script>RUN</script>",
        "--><script>RUN</script><!--",
        "<noscript><p title='</noscript><img src=x onerror=RUN>'>",
        "<math><mtext><table><mglyph><style><img src=x onerror=RUN>",
        "<template><script>RUN</script></template>",
        "&lt;script&gt;RUN&lt;/script&gt;",
        "%3Cscript%3ERUN%3C/script%3E",
        "\u003cscript\u003eRUN\u003c/script\u003e",
        "\u2028RUN\u2029",
        "__proto__",
        "constructor",
        "\x00<script>RUN</script>",
        "\x1b]8;;http://CANARY\x07x\x1b]8;;\x07",
        "a\r\nevent: view\r\ndata: {}\r\n\r\n",
    )
)
Struct = TypeVar("Struct", bound=msgspec.Struct)


def poisoned(value: Struct, payload: str, **keep: object) -> Struct:
    """The value with the payload in each of its texts."""
    changes = {
        name: payload
        for name in value.__struct_fields__
        if isinstance(getattr(value, name), str) and name not in keep
    }
    return msgspec.structs.replace(value, **changes | keep)


def poison(view: MeshView) -> MeshView:
    """A view in which everything that has a text has each payload, once."""

    def everywhere(values: tuple[Struct, ...], **keep: object) -> tuple[Struct, ...]:
        return tuple(poisoned(values[0], payload, **keep) for payload in PAYLOADS)

    proxy = view.proxies[2]
    return msgspec.structs.replace(
        view,
        mesh=PAYLOADS[0],
        platform=PAYLOADS[4],
        directory=PAYLOADS[6],
        workloads=tuple(
            poisoned(view.workloads[1], payload, services=(payload, f"{payload}/{payload}"))
            for payload in PAYLOADS
        ),
        edges=everywhere(view.edges[2:3]) + everywhere(view.edges[:1], protocol="http"),
        proxies=tuple(
            poisoned(
                proxy,
                payload,
                types=tuple(
                    poisoned(kind, payload, refused=1, at_fault=(payload,))
                    for kind in proxy.types[3:4]
                ),
            )
            for payload in PAYLOADS
        ),
        objects=tuple(
            poisoned(view.objects[0], payload, findings=(payload,)) for payload in PAYLOADS
        ),
        denials=everywhere(view.denials[:1]),
        findings=tuple(
            Finding(payload, view.findings[0].severity, Origin(*[payload] * 5), *[payload] * 3)
            for payload in PAYLOADS
        ),
        counters=tuple((payload, ((payload, 1),)) for payload in PAYLOADS),
    )


def test_there_are_enough_payloads() -> None:
    assert len(set(PAYLOADS)) >= 50


def test_hostile_text_everywhere_is_only_text(
    page: Page, mesh: FakeMeshApi, served: Served
) -> None:
    foreign: list[str] = []
    page.on("request", lambda request: note_foreign(request, served, foreign))
    page.on("dialog", lambda dialog: foreign.append(dialog.message))
    poisoned_view = poison(mesh.view())
    mesh.change = lambda view: msgspec.structs.replace(poisoned_view, now=view.now)
    expect(page.locator(".brand-mesh")).to_have_text(PAYLOADS[0])
    for tab in TABS:
        page.goto(f"{served.address}#/{tab}")
        expect(page.locator("#main")).not_to_be_empty()
        page.wait_for_timeout(400)
        assert page.evaluate("window.__xss") is None, tab
    page.goto(f"{served.address}#/workloads")
    expect(page.locator("tbody tr")).to_have_count(len(PAYLOADS))
    expect(page.locator("tbody")).to_contain_text(PAYLOADS[0])
    links = page.eval_on_selector_all("main a", "links => links.map(link => link.href)")
    assert [link for link in links if not re.match("https?://", link)] == []
    page.goto(f"{served.address}#/denials")
    for button in page.get_by_role("button", name="Explain").all()[:5]:
        button.click()
        page.wait_for_timeout(100)
        page.goto(f"{served.address}#/denials")
    page.goto(f"{served.address}#/graph")
    for badge in page.locator(".traffic-name").all()[:10]:
        badge.click()
        page.get_by_role("button", name="All traffic").click()
    assert page.evaluate("window.__xss") is None
    assert page.evaluate("Object.keys(Object.prototype).length") == 0
    assert foreign == []


def test_the_page_asks_nobody_but_its_own_mesh(context: BrowserContext, served: Served) -> None:
    foreign: list[str] = []
    context.on("request", lambda request: note_foreign(request, served, foreign))
    context.route(
        lambda address: not address.startswith(served.address), lambda route: route.abort()
    )
    page = context.new_page()
    page.goto(served.address)
    expect(page.locator("[data-node]")).to_have_count(6)
    for tab in TABS:
        page.goto(f"{served.address}#/{tab}")
        page.locator("#main > *").first.wait_for()
    assert foreign == []


def test_a_rebound_name_gets_nothing(context: BrowserContext, served: Served) -> None:
    page = context.new_page()
    for path in ("", "api/v1/view", "api/v1/session"):
        answer = page.goto(f"http://{CANARY}:{served.port}/{path}")
        assert answer is not None
        assert answer.status == 421
        assert "bookbuyer" not in answer.text()


ATTACK = """<!doctype html><title>attack</title><script>
const base = "http://127.0.0.1:%PORT%/";
// A question, a list of keys and an object at once, so that any of the calls would work.
const body = JSON.stringify({
  source: "bookthief", destination: "x", keys: [],
  apiVersion: "v1", kind: "Service", metadata: {name: "evil"},
});
const reads = ["", "api/v1/view", "api/v1/session", "api/v1/objects", "api/v1/logs?workload=mysql"];
window.results = {};
const note = (name, what) => what.then(
  value => { results[name] = String(value); },
  () => { results[name] = "refused"; },
);
const call = (name, path, how) =>
  note(`${name} ${path}`, fetch(base + path, how).then(answer => answer.text()));
for (const path of reads) {
  call("cors", path, {});
  call("opaque", path, {mode: "no-cors"});
  call("credentials", path, {credentials: "include"});
}
for (const path of ["apply", "delete", "shutdown", "explain"].map(name => `api/v1/${name}`)) {
  call("simple", path, {method: "POST", mode: "no-cors", body});
  call("preflighted", path, {method: "POST", headers: {"x-osm-token": "x"}, body});
  navigator.sendBeacon(base + path, body);
}
note("events", new Promise((resolve, reject) => {
  const source = new EventSource(base + "api/v1/events");
  source.addEventListener("view", event => resolve(event.data));
  source.onerror = reject;
}));
note("socket", new Promise((resolve, reject) => {
  const socket = new WebSocket(base.replace("http", "ws") + "api/v1/events");
  socket.onopen = () => resolve("open");
  socket.onerror = reject;
}));
note("script", new Promise((resolve, reject) => {
  const script = document.createElement("script");
  script.src = base + "api/v1/view";
  script.onload = () => resolve("loaded");
  script.onerror = reject;
  document.head.append(script);
}));
</script>
<iframe name="frame" src="http://127.0.0.1:%PORT%/"></iframe>
<iframe name="sink"></iframe>
<form method="post" target="sink" enctype="text/plain"
  action="http://127.0.0.1:%PORT%/api/v1/apply"><input name="kind: Service #" value=""></form>
<script>document.forms[0].submit();</script>
"""


@pytest.fixture
def attacker(served: Served) -> Iterator[Served]:
    """Somebody else's web site, on another port of the same machine: as near as it can be."""

    async def attack(_request: HttpRequest) -> Response:
        return HTMLResponse(ATTACK.replace("%PORT%", str(served.port)))

    def build(_port: int) -> Starlette:
        app = Starlette(routes=[Route("/", attack)])
        app.state.feed = Feed(FakeMeshApi().view)
        return app

    server = Served(build)
    yield server
    server.stop()


def test_another_site_can_neither_read_nor_change_nor_frame(
    context: BrowserContext, attacker: Served, mesh: FakeMeshApi
) -> None:
    page = context.new_page()
    page.goto(attacker.address)
    page.wait_for_function("Object.keys(window.results).length >= 26")
    page.wait_for_timeout(300)
    results: dict[str, str] = page.evaluate("window.results")
    assert len(results) == 26
    # An opaque answer reads as empty text.
    assert {name: text for name, text in results.items() if text not in ("refused", "")} == {}
    assert mesh.calls == []
    frame = page.frame("frame")
    assert frame is not None
    assert "Open Service Mesh" not in frame.content()


def note_foreign(request: Request, served: Served, foreign: list[str]) -> None:
    if not request.url.startswith((served.address, "data:", "blob:")):
        foreign.append(request.url)
