"""The README's lines make `resilience` work in a project that knows nothing of ours."""

import ast
import re
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.blocks import ROOT, blocks, text
from tests.docs.shop import ShopServer, lines_of_the_readme
from tests.servers import PostgresServer

# A dozen commands load Django anew, and a busy machine takes its time for each.
pytestmark = pytest.mark.timeout(600)

README = text("README.md")
# What is imported is named otherwise than what is installed.
DISTRIBUTIONS = {
    "rest_framework": "djangorestframework",
    "drf_spectacular": "drf-spectacular",
    "psycopg": "psycopg[binary]",
    "redis": "django-redis",
}

BUSY = 4  # what `fallback` exits with while another process is at it
BROUGHT_ALONG = {"asgiref", "urllib3"}  # by Django and requests


class TestTheLines:
    def test_are_as_many_as_it_says(self) -> None:
        lines = [line for _, code in lines_of_the_readme().values() for line in code.splitlines()]
        (said,) = re.findall(r"by these (\d+) lines", README)
        assert len([line for line in lines if line.strip()]) == int(said)

    def test_install_all_that_resilience_imports(self) -> None:
        (line,) = [block for block in blocks("README.md", "sh") if block.startswith("pip install")]
        installed = {re.split("[~=<>]", word)[0].lower() for word in shlex.split(line)[2:]}
        imported = {
            name.partition(".")[0]
            for path in (ROOT / "resilience").rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text()))
            for name in names_of(node)
        }
        strangers = imported - sys.stdlib_module_names - {"resilience", *BROUGHT_ALONG}
        assert {DISTRIBUTIONS.get(name, name).lower() for name in strangers} <= installed


def names_of(node: ast.AST) -> list[str]:
    """Return the modules that a statement imports by their full name."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and not node.level and node.module else []


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopServer]:
    server = ShopServer(tmp_path_factory.mktemp("shop"))
    prepared(server)
    with server:
        yield server


def prepared(server: ShopServer) -> None:
    assert "no issues" in server.manage("check", "--fail-level", "WARNING").stdout
    server.manage("makemigrations", "products").check_returncode()
    server.manage("migrate").check_returncode()


def export(server: ShopServer) -> None:
    """Make a copy now; the server itself may be at it, having just started."""
    while (made := server.manage("fallback", "export")).returncode == BUSY:
        time.sleep(1)
    made.check_returncode()


def states(server: ShopServer) -> dict[str, str]:
    services = server.ask("GET", "/api/health").json()["services"]
    return {name: one["state"] for name, one in services.items()}


class TestOnSQLite:
    def test_reads_are_answered_and_writes_refused_while_the_breaker_is_open(self, shop: ShopServer) -> None:
        chair = shop.ask("POST", "/api/products/", {"title": "Chair"})
        assert (chair.status_code, chair.headers["X-Circuit-Breaker-DB"]) == (201, "CLOSED")
        address = f"/api/products/{chair.json()['id']}/"
        assert shop.ask("GET", address).headers["X-Data-Source"] in ("live", "cached")
        export(shop)
        told = shop.manage("breakers", "isolate", "database", "--reason", "to see it")
        assert "OPEN" in told.stdout
        try:
            stored = shop.ask("GET", address + "?not-asked-before")
            assert (stored.status_code, stored.headers["X-Data-Source"]) == (200, "static")
            assert stored.headers["X-System-Degraded"] == "true"
            assert stored.json()["title"] == "Chair"
            refused = shop.ask("POST", "/api/products/", {"title": "Table"})
            assert (refused.status_code, refused.json()["outcome"]) == (503, "not_stored")
            assert states(shop)["database"] == "OPEN"
        finally:
            shop.manage("breakers", "auto", "database").check_returncode()
        assert shop.ask("POST", "/api/products/", {"title": "Table"}).status_code == 201

    def test_a_body_in_chunks_is_stored_and_a_condition_kept(self, shop: ShopServer) -> None:
        made = shop.in_chunks("POST", "/api/products/", b'{"tit', b'le": "Stool"}')
        assert (made.status_code, made.json()["title"]) == (201, "Stool")
        address = f"/api/products/{made.json()['id']}/"
        refused = shop.in_chunks("PUT", address, b'{"title": "Other"}', **{"If-None-Match": "*"})
        assert refused.status_code == 412
        assert shop.ask("GET", address).json()["title"] == "Stool"
        # A plain view finds the form, which lacks its token.
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (
            shop.in_chunks("POST", "/admin/login/", b"username=ada&", b"password=x", **form).status_code
            == 403
        )
        assert shop.in_chunks("POST", "/admin/login/", b"x" * 3_000_000, **form).status_code == 413

    def test_commands_see_the_breakers_of_the_server(self, shop: ShopServer) -> None:
        listed = shop.manage("breakers")
        assert listed.returncode == 0
        assert re.findall(r"^(\w+) +CLOSED", listed.stdout, re.MULTILINE) == list(states(shop))
        assert listed.stderr == ""

    def test_the_admin_lists_the_breakers_and_links_the_board(self, shop: ShopServer) -> None:
        session = shop.session()
        listed = shop.ask("GET", "/admin/resilience/breaker/", session=session)
        assert (listed.status_code, "/admin/resilience/board/" in listed.text) == (200, True)
        assert "external_api" in shop.ask("GET", "/admin/resilience/board/", session=session).text

    def test_a_copy_is_made_without_being_asked_for(self, shop: ShopServer) -> None:
        deadline = time.monotonic() + 60
        while (copy := shop.ask("GET", "/api/health").json()["staticTier"]) is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert copy["source"] == "export"

    def test_the_session_of_an_account_is_no_500_while_the_database_is_away(self, shop: ShopServer) -> None:
        shop.manage("breakers", "isolate", "database", "--reason", "to see it").check_returncode()
        try:
            answer = shop.ask("GET", "/api/products/1/?by=ada", auth=("ada", "wrong"))
            assert (answer.status_code, answer.headers["Retry-After"].isdecimal()) == (503, True)
        finally:
            shop.manage("breakers", "auto", "database").check_returncode()


class TestOnPostgreSQL:
    def test_reads_outlive_a_server_that_is_killed(self, tmp_path: Path) -> None:
        """And no error is mailed meanwhile: the mail server accepts and says nothing, which Django awaits."""
        with PostgresServer() as postgres, socket.create_server(("127.0.0.1", 0)) as silent:
            mail = (
                f"ADMINS = [('', 'ada@example.org')]\nEMAIL_PORT = {silent.getsockname()[1]}\n"
                "RESILIENCE['ALERTS'] = {'mail': False}"  # those are another matter
            )
            parts = urlsplit(postgres.url)
            shop = ShopServer(
                tmp_path,
                {
                    "ENGINE": "django.db.backends.postgresql",
                    "NAME": parts.path.strip("/"),
                    "USER": parts.username,
                    "PASSWORD": parts.password,
                    "HOST": parts.hostname,
                    "PORT": parts.port,
                },
                f"DEBUG = False\nALLOWED_HOSTS = ['127.0.0.1']\n{mail}\nEMAIL_HOST = '127.0.0.1'",
            )
            prepared(shop)
            with shop:
                address = (
                    f"/api/products/{shop.ask('POST', '/api/products/', {'title': 'Lamp'}).json()['id']}/"
                )
                export(shop)
                postgres.kill()
                answers = [shop.ask("GET", f"{address}?number={number}") for number in range(6)]
                assert {answer.status_code for answer in answers} == {200}
                assert {answer.headers["X-Data-Source"] for answer in answers} == {"static"}
                assert states(shop)["database"] == "OPEN"
                writes = [shop.ask("POST", "/api/products/", {"title": "Table"}) for _ in range(40)]
                assert {answer.status_code for answer in writes} == {503}
                silent.setblocking(False)
                with pytest.raises(BlockingIOError):  # nobody has called
                    silent.accept()
                health = shop.manage("health")
                assert (health.returncode, "database is OPEN" in health.stdout) == (1, True)
