"""A site of the suite's own, its staff, and a headless Chromium that looks at it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.servers import PostgresServer, RedisServer
from tests.servers.site import SiteServer

CHROMIUM = shutil.which("chromium")
TOKEN = "0123456789abcdef" * 2
PASSWORD = "correct horse battery"
DESKTOP, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
BOARD, LIST = "/admin/resilience/board/", "/admin/resilience/breaker/"
HISTORY = "/admin/resilience/event/"

_STAFF = f"""
from django.contrib.auth.models import Permission, User
User.objects.create_superuser("ada", password={PASSWORD!r})
grace = User.objects.create_user("grace", password={PASSWORD!r}, is_staff=True)
grace.user_permissions.add(Permission.objects.get(codename="steer_breakers"))
User.objects.create_user("linus", password={PASSWORD!r}, is_staff=True)
"""


class Running(NamedTuple):
    site: SiteServer
    postgres: PostgresServer
    redis: RedisServer

    @property
    def url(self) -> str:
        # By this name Chromium keeps cookies that are for TLS alone, as it does for no other without TLS.
        return f"http://localhost:{self.site.port}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip where there is no browser, save in CI; leave time for what the first test of a file starts."""
    for item in items:
        if "/tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(300))
            if CHROMIUM is None and "CI" not in os.environ:
                item.add_marker(pytest.mark.skip(reason="chromium is not installed"))


@contextmanager
def running_site() -> Iterator[Running]:
    """Start two workers on a PostgreSQL and a Redis with a catalogue and three members of staff."""
    with PostgresServer() as postgres, RedisServer() as redis:
        site = SiteServer(
            DATABASE_URL=postgres.url,
            REDIS_URL=redis.url,
            OPS_TOKEN=TOKEN,
            DJANGO_SETTINGS_MODULE="tests.drill_table.settings",  # as in production, and with drills
        )
        fixtures = [f"fixtures/{name}.json" for name in ("categories", "fields", "courses")]
        for command in (
            ["migrate", "--verbosity=0"],
            ["loaddata", *fixtures, "--verbosity=0"],
            ["shell", "--verbosity=0", "-c", _STAFF],
            ["collectstatic", "--noinput", "--verbosity=0"],
            ["fallback", "export", "--verbosity=0"],
        ):
            done = site.manage(*command)
            assert done.returncode == 0, done.stderr
        with site:
            yield Running(site, postgres, redis)


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    with running_site() as running:
        yield running


@pytest.fixture
def site(running: Running) -> Running:
    """The site, well and without orders when a test begins."""
    for server in (running.postgres, running.redis):
        server.thaw()
        server.start()
    assert running.site.manage("breakers", "reset", "--reason", "a test begins").returncode == 0
    return running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Not for the session: while its loop runs, Django refuses this thread's queries.
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


Open = Callable[..., Page]


@pytest.fixture
def open_page(chromium: Browser, running: Running) -> Iterator[Open]:
    """Open an address in a browser of its own: `open_page(BOARD, viewport=PHONE, color_scheme="dark")`."""
    contexts = []

    def open_page(path: str, **options: Any) -> Page:
        context = chromium.new_context(**{"base_url": running.url, "viewport": DESKTOP} | options)
        contexts.append(context)
        page = context.new_page()
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def sessions(chromium: Browser, running: Running) -> Callable[[str], Any]:
    """Return the cookies of a member of staff, who signs in by the form, once."""
    known: dict[str, Any] = {}

    def session(name: str) -> Any:
        if name not in known:
            context = chromium.new_context(base_url=running.url)
            page = context.new_page()
            page.goto("/admin/login/")
            page.get_by_label("Username").fill(name)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url("**/admin/")
            known[name] = context.storage_state()
            context.close()
        return known[name]

    return session


@pytest.fixture
def sign_in(open_page: Open, sessions: Callable[[str], Any], site: Running) -> Open:
    """Open an address as a member of staff: `sign_in("ada", BOARD)`."""
    return lambda name, path, **options: open_page(path, storage_state=sessions(name), **options)


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong with the page as it is."""
    found: dict[str, Any] = Axe().run(page).response
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in found["violations"]
    ]


def shoot(page: Page, name: str) -> None:
    """Keep what the page looks like, for people, where the variable SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
