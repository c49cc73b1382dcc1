"""The board in a browser: alive, from the keyboard, and with everything down."""

import json
import re
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOARD, DESKTOP, PHONE, TOKEN, Open, Running, shoot, violations

# The page asks every two seconds.
SEEN_WITHIN = 5_000


def card(page: Page, name: str) -> Any:
    return page.locator(f'[data-breaker="{name}"]')


def overrides(site: Running) -> dict[str, Any]:
    """Return the orders in force as the command beside the server tells them."""
    rows = json.loads(site.site.manage("breakers", "list", "--json").stdout)
    return {row["name"]: row["override"] for row in rows if row["override"]}


def order(page: Page, name: str, action: str, reason: str) -> None:
    card(page, name).get_by_role("checkbox").check()
    page.locator("select[name=action]").select_option(action)
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Do it").click()
    page.wait_for_url(f"**{BOARD}?done={action}")


def wait_until_refused(site: Running) -> None:
    """Ask for what only the database knows until its breaker is open."""
    deadline = time.monotonic() + 20
    while site.site.get("/api/health/live").headers["X-Circuit-Breaker-DB"] != "OPEN":
        assert time.monotonic() < deadline
        site.site.get(f"/api/courses?search={time.monotonic_ns()}")


class TestLive:
    def test_shows_what_a_command_ordered_without_reload(self, sign_in: Open, site: Running) -> None:
        page = sign_in("grace", BOARD)
        page.evaluate("window.loadedOnce = true")
        expect(card(page, "external_api").locator(".state")).to_have_text("CLOSED")
        site.site.manage("breakers", "isolate", "external_api", "--reason", "a drill", "--for", "10m")
        state = card(page, "external_api").locator(".state")
        expect(state).to_have_text("OPEN, isolated", timeout=SEEN_WITHIN)
        expect(card(page, "external_api")).to_contain_text("a drill")
        expect(page.locator("#events")).to_contain_text("a drill", timeout=10_000)
        assert page.evaluate("window.loadedOnce")

    def test_draws_the_failure_rate_of_the_hour_before_it_was_opened(
        self, sign_in: Open, site: Running
    ) -> None:
        write = "import time; from resilience.journal import events\n"
        for minutes, calls, failures in ((40, (0, 10), (0, 0)), (39, (10, 11), (0, 3))):
            counters = [["calls|auth|login|success", *calls], ["calls|auth|login|failure", *failures]]
            line = {"kind": "minute", "store": "of before", "counters": counters}
            write += f"events.write({line}, at=time.time() - {minutes * 60})\n"
        assert site.site.manage("shell", "-c", write).returncode == 0
        page = sign_in("ada", BOARD)
        # Two minutes side by side, of none and of three in four failures; then what came since, and now.
        drawn = re.compile(r"^M\S+,46.0L\S+,13.0h.01M.*236.0,46.0h.01$")
        expect(card(page, "auth").locator(".line")).to_have_attribute("d", drawn, timeout=30_000)

    def test_says_so_when_the_server_does_not_answer_and_goes_on(self, sign_in: Open) -> None:
        page = sign_in("ada", BOARD)
        page.context.set_offline(True)
        expect(page.locator("#updated")).to_contain_text("does not answer", timeout=SEEN_WITHIN)
        page.context.set_offline(False)
        expect(page.locator("#updated")).to_contain_text("Updated", timeout=SEEN_WITHIN)


class TestKeyboard:
    def test_ticks_and_orders_while_updates_leave_everything_in_place(
        self, sign_in: Open, site: Running
    ) -> None:
        page = sign_in("grace", BOARD)
        box = card(page, "cache").get_by_role("checkbox")
        for _ in range(12):
            page.keyboard.press("Tab")
            if box.evaluate("box => box === document.activeElement"):
                break
        page.keyboard.press("Space")
        expect(box).to_be_checked()
        while page.evaluate("document.activeElement.name") != "action":
            page.keyboard.press("Tab")
        page.keyboard.type("Isol")
        page.keyboard.press("Tab")
        page.keyboard.type("by ha")
        with page.expect_response("**/state.json"):
            pass
        page.keyboard.type("nd")
        expect(box).to_be_checked()
        expect(page.get_by_label("Reason")).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_url("**?done=isolate")
        order = overrides(site)["cache"]
        assert (order["kind"], order["who"], order["why"]) == ("isolated", "grace", "by hand")


class TestDeadDatabase:
    def test_leaves_staff_the_board_and_its_orders_by_pass(self, sign_in: Open, site: Running) -> None:
        page = sign_in("grace", BOARD)  # which gives the pass
        site.postgres.kill()
        wait_until_refused(site)
        page.reload()
        expect(page.locator(".message.by")).to_contain_text("by pass")
        expect(card(page, "database").locator(".state")).to_have_text("OPEN", timeout=SEEN_WITHIN)
        assert violations(page) == []
        order(page, "external_api", "isolate", "nobody can look after it")
        assert overrides(site)["external_api"]["who"] == "grace (by pass)"
        order(page, "external_api", "auto", "")
        order(page, "cache", "disable", "a drill")
        assert list(overrides(site)) == ["cache"]

    def test_leaves_others_the_token_with_five_attempts_a_minute(
        self, open_page: Open, site: Running
    ) -> None:
        site.postgres.kill()
        wait_until_refused(site)
        page = open_page(BOARD)
        expect(page.locator("main")).to_contain_text("nobody can sign in")
        assert violations(page) == []

        def enter(token: str) -> int:
            page.get_by_label("OPS_TOKEN").fill(token)
            with page.expect_navigation() as navigated:
                page.get_by_role("button", name="Enter").click()
            response = navigated.value
            assert response is not None
            return response.status

        assert enter(TOKEN[:-1]) == 403
        expect(page.get_by_role("alert")).to_contain_text("not the OPS_TOKEN")
        assert enter(TOKEN) == 200
        order(page, "database", "reset", "")
        page.get_by_role("button", name="Leave").click()
        assert [enter("wrong") for _ in range(4)] == [403, 403, 403, 429]
        expect(page.get_by_role("alert")).to_contain_text("Too many attempts")


class TestDrill:
    @pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
    def test_is_told_until_it_ends_with_the_database_dead(
        self, sign_in: Open, site: Running, viewport: Any
    ) -> None:
        def fault(call: str) -> None:
            done = site.site.manage("shell", "-c", f"from resilience import faults; faults.{call}")
            assert done.returncode == 0, done.stderr

        page = sign_in("grace", BOARD, viewport=viewport)
        site.postgres.kill()
        wait_until_refused(site)
        expect(page.locator("#drills")).to_be_hidden()
        fault("start('database', 'kill', lasts=600, who='ada')")
        for _ in range(2):  # as the page asks for it, and as it is given with the page
            expect(page.locator("#drills")).to_contain_text(
                "its server was killed, by ada", timeout=4 * SEEN_WITHIN
            )
            expect(page.locator("#drills .left")).to_have_text(re.compile(r"^5\d\d s left$"))
            page.reload()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        fault("stop()")
        expect(page.locator("#drills")).to_be_hidden(timeout=4 * SEEN_WITHIN)


_SHED = """
from resilience.primitives import BulkheadFullError
from resilience.request import shed
full = BulkheadFullError("read", retry_after=1.0, reason="full")
for _ in range(3):
    shed.note("read", full, read=True)
"""


class TestBusy:
    @pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
    def test_tells_which_pool_is_full_and_how_many_it_shed(
        self, sign_in: Open, site: Running, viewport: Any
    ) -> None:
        site.site.get("/api/courses")  # the servers have used the pool
        page = sign_in("grace", BOARD, viewport=viewport)
        done = site.site.manage("shell", "-c", _SHED)
        assert done.returncode == 0, done.stderr
        told = page.locator("#pools .shed")
        expect(told).to_have_text(
            re.compile(r"^busy: [36] requests shed in the last minute$"), timeout=SEEN_WITHIN
        )
        expect(page.locator("#notices")).to_contain_text("The site is busy")
        expect(page.locator('[data-field="message"]')).to_have_text(
            "The site is busy; all services are healthy"
        )
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        shoot(page, f"board-busy-{viewport['width']}")


class TestLooks:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
    def test_is_accessible_and_fits(self, sign_in: Open, site: Running, viewport: Any, scheme: Any) -> None:
        site.site.manage("breakers", "isolate", "cache", "--reason", "a drill")
        page = sign_in("ada", BOARD, viewport=viewport, color_scheme=scheme)
        expect(card(page, "cache").locator(".state")).to_have_text("OPEN, isolated")
        expect(page.locator("#events li").first).to_be_visible(timeout=SEEN_WITHIN)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_its_entry_is_accessible(self, open_page: Open, scheme: Any) -> None:
        page = open_page(BOARD, viewport=PHONE, color_scheme=scheme)
        assert violations(page) == []
