"""The admin in a browser: every page of it, and orders from the list of breakers."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOARD, DESKTOP, HISTORY, LIST, PHONE, Open, Running, violations


def isolating(page: Page) -> Page:
    """Go as far as the question for the reason."""
    page.get_by_label("Select cache").check()
    page.get_by_label("Action").select_option("isolate")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_label("Reason")).to_be_visible()
    return page


class TestEveryPage:
    def test_opens_without_an_error_on_the_console(self, sign_in: Open) -> None:
        page = sign_in("ada", "/admin/")
        said: list[str] = []
        page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: said.append(f"{error}"))
        addresses: set[str] = {BOARD}
        for link in page.locator("#content a, #nav-sidebar a").all():
            addresses.add((link.get_attribute("href") or "").partition("?")[0])
        assert {LIST, HISTORY, "/admin/learn/course/add/"} <= addresses
        assert len([address for address in addresses if address.endswith("/add/")]) >= 4
        answers = {}
        for address in sorted(addresses):
            response = page.goto(address)
            answers[address] = response.status if response else None
        assert {address: status for address, status in answers.items() if status != 200} == {}
        assert said == []

    def test_breakers_are_not_shown_to_staff_without_the_permission(self, sign_in: Open) -> None:
        page = sign_in("linus", "/admin/")
        expect(page.get_by_role("link", name="Breakers")).to_have_count(0)
        response = page.goto(LIST)
        assert response is not None
        assert response.status == 403


class TestCatalogue:
    @pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
    def test_has_accessible_lists(self, sign_in: Open, viewport: Any) -> None:
        page = sign_in("ada", "/admin/", viewport=viewport)
        found = {}
        for name in ("category", "field", "course"):
            page.goto(f"/admin/learn/{name}/?q=a")
            found[name] = violations(page)
        assert found == {"category": [], "field": [], "course": []}


class TestBreakers:
    def test_are_ticked_and_ordered_with_a_reason(self, sign_in: Open, site: Running) -> None:
        page = isolating(sign_in("grace", LIST))
        page.get_by_label("Reason").fill("moved to another host")
        page.get_by_label("Lasts").select_option("60")
        page.get_by_role("button", name="Isolate").click()
        expect(page.locator(".messagelist")).to_contain_text("Isolate: cache")
        expect(page.locator("#result_list")).to_contain_text("moved to another host")
        (row,) = json.loads(site.site.manage("breakers", "list", "cache", "--json").stdout)
        assert (row["override"]["kind"], row["override"]["who"]) == ("isolated", "grace")
        assert row["override"]["until"]
        page.get_by_role("link", name="Live board").click()
        expect(page.locator('[data-breaker="cache"] .state')).to_have_text("OPEN, isolated")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
    def test_are_accessible_and_so_is_the_question_for_the_reason(
        self, sign_in: Open, viewport: Any, scheme: Any
    ) -> None:
        page = sign_in("ada", LIST, viewport=viewport, color_scheme=scheme)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert violations(isolating(page)) == []


class TestHistory:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
    def test_is_accessible_with_its_filter(
        self, sign_in: Open, site: Running, viewport: Any, scheme: Any
    ) -> None:
        site.site.manage("breakers", "isolate", "cache", "--reason", "a drill")
        page = sign_in("ada", HISTORY, viewport=viewport, color_scheme=scheme)
        filters = page.locator("#changelist-filter")
        # The steward copies the journal every few seconds: there is something of a breaker and of none.
        for _ in range(20):
            if filters.get_by_role("link", name="cache", exact=True).count():
                break
            page.wait_for_timeout(1_000)
            page.reload()
        expect(filters.get_by_role("link", name="steward", exact=True)).to_be_visible()
        assert violations(page) == []
        filters.get_by_role("link", name="no breaker").click()
        expect(page.locator("#result_list")).to_contain_text("steward")
        expect(page.locator("#result_list")).not_to_contain_text("a drill")
        assert violations(page) == []
