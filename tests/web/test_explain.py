"""The panel that explains requests and refusals."""

import json
import re

from playwright.sync_api import Page, expect

from osm.testing.bookstore_view import REMEDY


def test_a_denial_is_explained_by_one_click(page: Page) -> None:
    page.get_by_role("link", name="Denials").click()
    page.get_by_role("button", name=re.compile("Explain bookthief")).first.click()
    expect(page.get_by_label("From")).to_have_value("bookthief/bookthief")
    expect(page.get_by_label("To (host and port)")).to_have_value("bookstore.bookstore:14001")
    answer = page.get_by_test_id("explanation")
    expect(answer.get_by_role("heading", level=2)).to_have_text("denied")
    expect(answer.get_by_role("listitem").filter(has_text="Route")).to_contain_text(
        "TrafficSplit bookstore/bookstore-split"
    )
    expect(answer).to_contain_text("kind: TrafficTarget")
    then = answer.get_by_role("listitem").first
    expect(then).to_contain_text("bookthief/bookthief was refused GET /buy-a-book/new")


def test_what_is_asked_after_a_denial_is_a_question_of_its_own(page: Page) -> None:
    page.get_by_role("link", name="Denials").click()
    page.get_by_role("button", name=re.compile("Explain bookthief")).first.click()
    answer = page.get_by_test_id("explanation")
    expect(answer).to_contain_text("was refused")
    page.get_by_label("From").fill("bookbuyer")
    page.get_by_role("button", name="Explain").click()
    expect(answer.get_by_role("heading", level=2)).to_have_text("allowed")
    expect(answer).not_to_contain_text("was refused")


def test_headers_go_with_the_question_and_a_wrong_one_is_said(page: Page) -> None:
    page.get_by_role("link", name="Explain").click()
    page.get_by_label("From").fill("bookbuyer")
    page.get_by_label("To (host and port)").fill("bookstore.bookstore:14001")
    headers = page.get_by_label("Headers, one on each line")
    headers.fill("client-app: bookbuyer\nnonsense")
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_role("alert")).to_contain_text("“nonsense” is no header.")
    headers.fill("Client-App: bookbuyer\nx-role: admin")
    with page.expect_request("**/api/v1/explain") as asked:
        page.get_by_role("button", name="Explain").click()
    expect(page.get_by_test_id("explanation")).to_contain_text("allowed")
    sent = json.loads(asked.value.post_data or "")
    assert sent["headers"] == [["client-app", "bookbuyer"], ["x-role", "admin"]]
    page.get_by_label("Method").select_option("TCP connection")
    expect(headers).to_be_disabled()


def test_what_would_change_an_answer_can_be_copied_and_advice_is_read(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="Explain").click()
    page.get_by_label("From").fill("bookthief")
    page.get_by_label("To (host and port)").fill("bookstore:14001")
    page.get_by_role("button", name="Explain").click()
    answer = page.get_by_test_id("explanation")
    expect(answer).to_contain_text("Write bookstore.bookstore:14001.")
    answer.get_by_role("button", name="Copy").click()
    expect(answer.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == REMEDY


def test_the_explain_form_answers_and_names_the_object(page: Page) -> None:
    page.get_by_role("link", name="Explain").click()
    page.get_by_label("From").fill("bookbuyer")
    page.get_by_label("To (host and port)").fill("bookstore.bookstore:14001")
    page.get_by_label("Path").fill("/books-bought")
    page.keyboard.press("Enter")
    answer = page.get_by_test_id("explanation")
    expect(answer.get_by_role("heading", level=2)).to_have_text("allowed")
    answer.get_by_role("button", name="TrafficTarget bookstore/bookstore spec.rules[0]").click()
    dialog = page.get_by_role("dialog", name="TrafficTarget bookstore/bookstore")
    expect(dialog).to_contain_text("apiVersion: access.smi-spec.io/v1alpha3")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_asking_about_nobody_says_what_to_do(page: Page) -> None:
    page.get_by_role("link", name="Explain").click()
    page.get_by_label("From").fill("nobody")
    page.get_by_label("To (host and port)").fill("bookstore:14001")
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no workload 'nobody'.")
    expect(page.get_by_role("alert")).to_contain_text("osm status")
