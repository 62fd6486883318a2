"""What a person sees on the page, and can do there."""

import gzip
import json
import re
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from osm.core.explain.view import MeshView, WorkloadView
from osm.dashboard.app import STATIC
from osm.testing.bookstore_view import REMEDY
from osm.testing.mesh_api import FakeMeshApi

from .conftest import Served

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
TABS = ("graph", "workloads", "proxies", "objects", "denials", "explain")
THIEF = "bookthief/bookthief → bookstore/bookstore http"


def test_the_graph_shows_every_app_in_its_namespace(page: Page) -> None:
    nodes = page.locator("[data-node]")
    expect(nodes).to_have_count(6)
    names = sorted(node.get_attribute("data-node") or "" for node in nodes.all())
    assert names == [
        "bookbuyer/bookbuyer",
        "bookstore/bookstore",
        "bookstore/bookstore-v2",
        "bookthief/bookthief",
        "bookwarehouse/bookwarehouse",
        "bookwarehouse/mysql",
    ]
    v2 = page.locator("[data-node='bookstore/bookstore-v2']")
    expect(v2.locator(".node-version")).to_have_text("v2")
    expect(v2).to_contain_text("1/1")


def test_edges_say_rate_success_lock_and_split(page: Page) -> None:
    badge = page.get_by_role("button", name=re.compile("^bookbuyer to bookstore-v2: "))
    expect(badge).to_have_accessible_name(
        re.compile(r"[\d.]+ ?/s ?50% of the split, ?[\d.]+% ok ?, mutual TLS")
    )
    row = page.locator("[data-edge='bookbuyer/bookbuyer → bookstore/bookstore-v2 http']")
    expect(row).to_contain_text("req/s")
    expect(row).to_contain_text("50% split")
    expect(row.get_by_role("img", name="mutual TLS")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^bookwarehouse to mysql"))).to_contain_text(
        "conn/s"
    )


def test_a_denied_edge_is_red_and_names_the_rule_that_is_missing(page: Page) -> None:
    row = page.locator(f"[data-edge='{THIEF}']")
    expect(row).to_have_attribute("data-state", "denied")
    expect(page.locator("[data-edge]").first).to_have_attribute("data-edge", THIEF)
    badge = page.get_by_role("button", name=re.compile("^bookthief to bookstore: denied"))
    red, green, blue = rgb(page, ".badge-denied", "color")
    assert red > 200
    assert red > green + 80
    assert red > blue + 80
    badge.click()
    details = page.get_by_test_id("edge-details")
    expect(details).to_contain_text("no TrafficTarget allows bookthief/bookthief")
    expect(details.get_by_role("region", name=re.compile("Rule that would allow"))).to_have_text(
        REMEDY
    )


def test_the_missing_rule_can_be_copied(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name=re.compile("^bookthief to bookstore: denied")).click()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == REMEDY


def test_a_proxy_that_refused_a_change_comes_first_with_its_reason(page: Page) -> None:
    page.get_by_role("link", name="Proxies").click()
    first = page.locator("tbody tr").first
    expect(first).to_contain_text("bookstore-v2")
    expect(first).to_contain_text("refused a change")
    expect(first).to_contain_text("no argument for repetition operator")
    expect(page.locator("tbody tr").nth(1)).to_contain_text("in sync")


def test_objects_have_their_place_their_findings_and_their_yaml(page: Page) -> None:
    page.get_by_role("link", name="Objects").click()
    findings = page.get_by_role("region", name="Findings")
    expect(findings).to_contain_text("policies/auditors.yaml:12")
    expect(findings).to_contain_text("OSM1204")
    page.get_by_label("Filter: Objects").fill("split")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="bookstore-split", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("kind: TrafficSplit")
    expect(dialog).to_contain_text("policies/split.yaml:1")


def test_a_workload_shows_its_identity_its_counters_and_its_logs(page: Page) -> None:
    page.get_by_role("link", name="Workloads").click()
    page.get_by_role("link", name="bookbuyer", exact=True).click()
    details = page.get_by_test_id("node-details")
    expect(details).to_contain_text("spiffe://cluster.local/ns/bookbuyer/sa/bookbuyer")
    expect(details).to_contain_text("booksBoughtV1")
    details.get_by_role("button", name="Logs of bookbuyer").click()
    expect(page.get_by_role("dialog")).to_contain_text("line 200")


def test_the_keyboard_reaches_and_selects_everything_on_the_picture(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^bookthief ?, namespace")).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("node-details")).to_contain_text("bookthief")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("traffic")).to_be_visible()


def test_a_click_on_the_picture_selects_an_app(page: Page) -> None:
    box = page.locator("[data-node='bookstore/bookstore']").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_test_id("node-details")).to_contain_text("bookstore")


def test_figures_change_and_nothing_moves(page: Page) -> None:
    places = """[...document.querySelectorAll('[data-node]')]
        .map(node => [node.dataset.node, node.style.left, node.style.top])"""
    rate = page.get_by_role("button", name=re.compile("^bookthief to bookstore: denied"))
    before, text = page.evaluate(places), rate.text_content() or ""
    expect(rate).not_to_have_text(text, timeout=20_000)
    assert page.evaluate(places) == before


def test_a_new_workload_appears_on_the_picture(page: Page, mesh: FakeMeshApi) -> None:
    expect(page.locator("[data-node]")).to_have_count(6)
    mesh.change = lambda view: with_workloads(view, ("shop", "newcomer"))
    newcomer = page.locator("[data-node='shop/newcomer']")
    expect(newcomer).to_be_visible()
    mesh.change = lambda view: view
    expect(newcomer).to_have_count(0)


def test_a_lost_mesh_is_said_to_be_lost_and_comes_back_by_itself(
    page: Page, served: Served
) -> None:
    served.stop()
    expect(page.get_by_role("alert")).to_contain_text("Connection lost", timeout=15_000)
    expect(page.get_by_role("status").first).to_have_text("Disconnected")
    served.start()
    expect(page.get_by_role("status").first).to_have_text("Live", timeout=15_000)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("link", name="Denials").click()
    page.get_by_role("button", name=re.compile("Explain bookthief")).first.click()
    expect(page.get_by_test_id("explanation")).to_contain_text("denied")


def test_an_empty_mesh_says_what_to_do(page: Page, mesh: FakeMeshApi) -> None:
    mesh.change = lambda view: MeshView(
        mesh="empty",
        platform=view.platform,
        policy_mode="permissive",
        trust_domain=view.trust_domain,
        started=view.started,
        now=view.now,
        window_s=10,
        page="",
        directory="",
    )
    expect(page.get_by_role("heading", name="No workloads yet")).to_be_visible()
    expect(page.get_by_text("Permissive")).to_be_visible()
    for tab, words in (
        ("workloads", "No workloads yet"),
        ("proxies", "No proxy is connected"),
        ("objects", "No objects yet"),
        ("denials", "Nothing was denied"),
    ):
        page.goto(page.url.split("#")[0] + f"#/{tab}")
        expect(page.locator("#main")).to_contain_text(words)


def test_a_mesh_of_ten_thousand_workloads_is_still_a_page(page: Page, mesh: FakeMeshApi) -> None:
    many = [(f"team-{number % 50}", f"app-{number}") for number in range(10_000)]
    view = with_workloads(mesh.view(), *many)
    mesh.change = lambda now: msgspec.structs.replace(view, now=now.now)
    expect(page.get_by_text("busiest apps are drawn")).to_be_visible(timeout=20_000)
    assert page.locator("[data-node]").count() <= 200
    page.get_by_role("link", name="Workloads").click()
    expect(page.get_by_text("The first 300 of 10006")).to_be_visible()
    page.get_by_label("Filter: Workloads").fill("app-9876")
    expect(page.locator("tbody tr")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [1440, 1000])
def test_nobody_is_shut_out(browser: Browser, served: Served, scheme: str, width: int) -> None:
    """axe-core finds nothing serious on any view, in either colour scheme."""
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,  # only so that the checker itself may be put into the page
    )
    page = context.new_page()
    page.add_init_script(path=AXE)
    for tab in TABS:
        page.goto(f"{served.address}#/{tab}")
        page.get_by_role("status").filter(has_text="Live").wait_for()
        if tab == "graph":
            page.locator(".badge-denied").wait_for()
            page.locator(".badge-denied").click()
            page.wait_for_timeout(300)
        if tab == "explain":
            page.get_by_label("From").fill("bookthief")
            page.get_by_label("To (host and port)").fill("bookstore:14001")
            page.get_by_role("button", name="Explain").click()
            page.get_by_test_id("explanation").wait_for()
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found = [
            (item["id"], item["impact"], [node["html"][:120] for node in item["nodes"][:3]])
            for item in result["violations"]
            if item["impact"] in ("serious", "critical")
        ]
        assert found == [], f"{tab}: {json.dumps(found, indent=1)}"
    context.close()


def test_who_wants_no_motion_gets_none(browser: Browser, served: Served) -> None:
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(served.address)
    page.locator(".flow").first.wait_for(state="attached")
    names = page.evaluate(
        "[...document.querySelectorAll('*')].map(e => getComputedStyle(e).animationName)"
    )
    assert set(names) == {"none"}
    context.close()


@pytest.mark.parametrize("width", [900, 1000, 1440])
def test_nothing_is_wider_than_the_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    for tab in TABS:
        page.goto(page.url.split("#")[0] + f"#/{tab}")
        page.locator("#main > *").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab


def test_the_page_is_small() -> None:
    files = [path for path in STATIC.rglob("*") if path.is_file()]
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) < 250_000


def rgb(page: Page, selector: str, name: str) -> tuple[int, int, int]:
    text = page.locator(selector).first.evaluate(
        "(element, name) => getComputedStyle(element).getPropertyValue(name)", name
    )
    red, green, blue = (int(part) for part in re.findall(r"\d+", text)[:3])
    return red, green, blue


def with_workloads(view: MeshView, *names: tuple[str, str]) -> MeshView:
    new = tuple(
        WorkloadView(
            namespace=namespace,
            name=name,
            app=name,
            service_account=name,
            identity=f"spiffe://cluster.local/ns/{namespace}/sa/{name}",
            phase="ready",
        )
        for namespace, name in names
    )
    return msgspec.structs.replace(view, workloads=view.workloads + new)
