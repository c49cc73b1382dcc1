"""The board while database and cache are frozen or dead: who gets in, what they see and order."""

import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOARD, DESKTOP, PHONE, TOKEN, Open, Running, shoot, violations
from tests.browser.test_board import card, order, overrides

SEEN_WITHIN = 20_000
WAYS = pytest.mark.parametrize("way", ["frozen", "killed"])


def end_all(site: Running, way: str) -> None:
    """Freeze or kill database and cache, and wait until both breakers know."""
    for server in (site.postgres, site.redis):
        server.freeze() if way == "frozen" else server.kill()
    deadline = time.monotonic() + 60
    while True:
        headers = site.site.get(f"/api/courses?search={time.monotonic_ns()}").headers
        if [headers[f"X-Circuit-Breaker-{name}"] for name in ("DB", "Cache")] == ["OPEN", "OPEN"]:
            return
        assert time.monotonic() < deadline


def steer(page: Page, site: Running, who: str) -> None:
    """Isolate one breaker, reset another, and see both on the page and by command."""
    order(page, "external_api", "isolate", "nothing answers")
    expect(card(page, "external_api").locator(".state")).to_have_text("OPEN, isolated")
    found = overrides(site)["external_api"]
    assert (found["who"], found["why"]) == (who, "nothing answers")
    order(page, "database", "reset", "try again")
    expect(page.locator("#events")).to_contain_text("try again", timeout=SEEN_WITHIN)
    order(page, "external_api", "auto", "")
    assert overrides(site) == {}


@WAYS
class TestEverythingDead:
    @pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
    def test_leaves_staff_all_of_the_board_by_pass(
        self, sign_in: Open, site: Running, way: str, viewport: Any
    ) -> None:
        page = sign_in("grace", BOARD, viewport=viewport)
        end_all(site, way)
        page.reload()
        expect(page.locator(".message.by")).to_contain_text("by pass")
        for name in ("database", "cache"):
            expect(card(page, name).locator(".state")).to_have_text("OPEN", timeout=SEEN_WITHIN)
        expect(page.locator(".overall")).to_contain_text("degraded")
        expect(page.locator("#updated")).to_contain_text("Updated ")
        assert violations(page) == []
        shoot(page, f"{way}-pass-{viewport['width']}")
        steer(page, site, "grace (by pass)")

    def test_leaves_others_all_of_it_by_the_token(self, open_page: Open, site: Running, way: str) -> None:
        end_all(site, way)
        page = open_page(BOARD, viewport=PHONE)
        expect(page.locator("main")).to_contain_text("nobody can sign in")
        shoot(page, f"{way}-entry")
        page.get_by_label("OPS_TOKEN").fill(TOKEN)
        page.get_by_role("button", name="Enter").click()
        expect(page.locator(".message.by")).to_contain_text("OPS_TOKEN")
        expect(card(page, "database").locator(".state")).to_have_text("OPEN", timeout=SEEN_WITHIN)
        shoot(page, f"{way}-token")
        steer(page, site, "OPS_TOKEN")
        page.get_by_role("button", name="Leave").click()
        expect(page.get_by_label("OPS_TOKEN")).to_be_visible()
