"""The documentation page."""

import re

import pytest


def sign_in(page, token):
    page.get_by_label("Token or API key").fill(token)
    page.get_by_role("button", name="Show what it may do").click()
    page.get_by_text(re.compile("operations for (?!public)")).wait_for()


def test_everybody_sees_what_everybody_may_do(visit, shot):
    page = visit("/v1/docs")
    page.get_by_text("operations for").wait_for()
    shot(page, "first")
    assert page.locator("#op-listBooks").count() == 1
    assert page.locator("#op-createBook").count() == 0
    assert page.locator("#op-listOrders").count() == 0


def test_an_operation_is_tried_with_a_token(visit, shot, tokens):
    page = visit("/v1/docs")
    sign_in(page, tokens["admin"])
    operation = page.locator("#op-listBooks")
    operation.locator("summary").first.click()
    operation.get_by_label("limit", exact=True).fill("2")
    operation.get_by_role("button", name="Send").click()
    result = operation.get_by_role("status")
    result.get_by_text(re.compile(r"200")).first.wait_for()
    assert '"data"' in result.inner_text() and "ratelimit" in result.inner_text().lower()
    operation.scroll_into_view_if_needed()
    shot(page, "tried")


def test_a_record_is_created_with_the_example_and_read_and_deleted(visit, shot, tokens):
    page = visit("/v1/docs", expected=(404,))
    sign_in(page, tokens["admin"])
    create = page.locator("#op-createShelf")
    create.locator("summary").first.click()
    create.get_by_label("Body").fill('{"id": "by-hand", "name": "By hand"}')
    create.get_by_role("button", name="Send").click()
    create.get_by_role("status").get_by_text(re.compile("201")).first.wait_for()
    delete = page.locator("#op-deleteShelf")
    delete.locator("summary").first.click()
    delete.get_by_label("id").first.fill("by-hand")
    delete.get_by_role("button", name="Send").click()
    delete.get_by_role("status").get_by_text(re.compile("204")).first.wait_for()
    get = page.locator("#op-getShelf")
    get.locator("summary").first.click()
    get.get_by_label("id").first.fill("by-hand")
    get.get_by_role("button", name="Send").click()
    get.get_by_role("status").get_by_text(re.compile("404")).first.wait_for()
    get.scroll_into_view_if_needed()
    shot(page, "gone")


def test_an_error_leads_to_its_entry(visit, shot, tokens):
    page = visit("/v1/docs", expected=(400,))
    sign_in(page, tokens["customer"])
    operation = page.locator("#op-listBooks")
    operation.locator("summary").first.click()
    operation.get_by_label("sort", exact=True).fill("nothing")
    operation.get_by_role("button", name="Send").click()
    result = operation.get_by_role("status")
    result.get_by_text(re.compile("400")).first.wait_for()
    operation.scroll_into_view_if_needed()
    shot(page, "error")
    result.get_by_role("link", name="invalid_parameter").click()
    entry = page.locator("#invalid_parameter")
    assert entry.is_visible() and page.url.endswith("#invalid_parameter")
    shot(page, "entry")


def test_the_address_of_a_problem_leads_to_its_entry_at_once(visit, shot):
    page = visit("/v1/docs#precondition_failed")
    page.get_by_text("operations for").wait_for()
    box = page.locator("#precondition_failed").bounding_box()
    assert 0 <= box["y"] < 900, box
    shot(page, "entry")


def test_a_wrong_token_is_told(visit, shot):
    page = visit("/v1/docs", expected=(401,))
    page.get_by_label("Token or API key").fill("nonsense")
    page.get_by_role("button", name="Show what it may do").click()
    page.get_by_text("could not be read").wait_for()
    shot(page, "refused")


@pytest.mark.parametrize(("name", "options"), [("dark", {"dark": True}), ("narrow", {"width": 380, "height": 800})])
def test_it_is_readable(visit, shot, tokens, name, options):
    page = visit("/v1/docs", **options)
    sign_in(page, tokens["partner"])
    operation = page.locator("#op-createOrder")
    operation.locator("summary").first.click()
    shot(page, name)
    operation.scroll_into_view_if_needed()
    shot(page, f"{name}-operation")
    # Nothing is wider than the window.
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_keyboard_reaches_everything(visit, shot, tokens):
    page = visit("/v1/docs")
    page.get_by_text("operations for").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").startswith("Skip to")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    summary = page.locator("#op-listBooks > summary")
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("#op-listBooks").get_attribute("open") is not None


def test_search_narrows_the_index(visit):
    page = visit("/v1/docs")
    page.get_by_text("operations for").wait_for()
    page.get_by_label("Find").fill("shelves")
    visible = [entry for entry in page.locator("#index a").all() if entry.is_visible()]
    assert visible and all("shelves" in entry.get_attribute("href").lower() or "shel" in entry.inner_text().lower() for entry in visible)


def test_it_prints_without_controls(visit, shot):
    page = visit("/v1/docs")
    page.get_by_text("operations for").wait_for()
    page.emulate_media(media="print")
    assert not page.get_by_role("button", name="Send").first.is_visible()
    assert not page.locator("nav").is_visible()
    # Everything that is folded on the screen stands on paper.
    assert page.get_by_text("Most records of a page").first.is_visible()
    shot(page, "print")
