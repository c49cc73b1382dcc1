"""The front door: `ARCHITECTURE.md` leads through the code that there is, in the order in which it runs."""

import ast
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults

import pytest
import requests
from django.contrib.auth.models import User
from django.core.cache import cache
from pytest_django import Settings

from learn.models import Category, Course, Field
from resilience import registry
from resilience.primitives import ManualClock
from resilience.testing import server_role
from resilience.tiers import fresh, stored
from resilience.tiers.static_copy import building
from zenow.wsgi import application

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
WALKS = (
    "A read",
    "The same read while the database is down",
    "A write",
    "A call that fails",
    "An operator's order",
)
TITLES = ("term", "word", "---")
GIVEN_UP = {
    r"\bstatic file\b": "static copy",
    r"\bseats?\b": "slot",
    r"\bprocess(es)? that votes?\b": "server process",
    r"\bgeneration of the catalogue\b": "catalogue version",
    r"\banew\b": "again",
    r"\bwhoever (has|dies|comes|asks|is)\b": "a process that, anyone who",
}
ASKED = "/api/courses?search=jazz"


class Stop(NamedTuple):
    """One line of a numbered list: where it leads."""

    number: int
    file: str
    name: str

    def __str__(self) -> str:
        return f"{self.number}. {self.file}, {self.name}"


def section(title: str) -> str:
    """Return what stands under a heading of the page, up to the next of the first three levels."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,3}} |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"ARCHITECTURE.md has no heading {title!r}"
    return found[2]


def stops(walk: str) -> list[Stop]:
    """Return the numbered stops under this heading."""
    lines = re.findall(r"^(\d+)\. `([^`]+)`, `([^`]+)`:", section(walk), re.MULTILINE)
    return [Stop(int(number), file, name) for number, file, name in lines]


STOPS = [(walk, stop) for walk in WALKS for stop in stops(walk)]


class TestStops:
    @pytest.mark.parametrize("walk", WALKS)
    def test_are_counted_from_one(self, walk: str) -> None:
        assert [stop.number for stop in stops(walk)] == list(range(1, len(stops(walk)) + 1))

    @pytest.mark.parametrize(("walk", "stop"), STOPS, ids=[f"{walk}-{stop.number}" for walk, stop in STOPS])
    def test_are_found_in_the_code(self, walk: str, stop: Stop) -> None:
        assert stop.name in definitions(ROOT / stop.file), f"correct this stop of {walk!r} in ARCHITECTURE.md"


def definitions(file: Path) -> set[str]:
    """Return the dotted names of the functions and classes that a module defines."""

    def within(body: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield prefix + node.name
                if isinstance(node, ast.ClassDef):
                    yield from within(node.body, f"{prefix}{node.name}.")

    return set(within(ast.parse(file.read_text()).body, ""))


class TestFolders:
    """Each folder of the repository has its line."""

    def test_are_those_that_there_are(self) -> None:
        assert set(folders_told()) == folders_there()

    def test_are_told_once(self) -> None:
        told = folders_told()
        assert [folder for folder in told if told.count(folder) > 1] == []

    def test_have_only_known_files_beside_them_at_the_top(self) -> None:
        """Anything else was committed by mistake: take it out of its commit, not only out of the tree."""
        at_the_top = {file.name for file in files() if file.parent == ROOT}
        assert at_the_top - set(re.findall(r"`([^`]+)`", section("The folders"))) == set()


def folders_told() -> list[str]:
    """Return the folders in the first column of the table."""
    cells = re.findall(r"^\| (`.+?) \|", section("The folders"), re.MULTILINE)
    return [folder for cell in cells for folder in re.findall(r"`([^`]+)/`", cell)]


def folders_there() -> set[str]:
    """Return the folders that hold files of ours, the top left out."""
    return {str(path.parent.relative_to(ROOT)) for path in files()} - {"."}


def files() -> list[Path]:
    """Return the files that belong to the repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in (ROOT / line for line in listed.stdout.splitlines()) if path.exists()]


class TestLinks:
    """Of the Markdown files, to others of them and to their headings."""

    def test_lead_somewhere(self) -> None:
        documents = [file for file in files() if file.suffix == ".md"]
        assert ROOT / "README.md" in documents
        assert [
            f"{file.relative_to(ROOT)}: {link}"
            for file in documents
            for link in re.findall(r"\]\((?!https?:)([^)\s]+)", without_code(file))
            if not leads_somewhere(file, link)
        ] == []

    def test_lead_to_files_also_where_they_are_only_named(self) -> None:
        top = "|".join(sorted({folder.partition("/")[0] for folder in folders_there()}))
        assert [
            f"{file.relative_to(ROOT)}: {named}"
            for file in files()
            if file.suffix == ".md" and file.name != "CHANGELOG.md"
            for named in re.findall(rf"`((?:{top})/[\w/.-]*\w)`", file.read_text())
            if not (ROOT / named).exists()
        ] == []

    def test_list_every_decision(self) -> None:
        decisions = set(re.findall(r"^#### (.+)$", PAGE, re.MULTILINE))
        assert decisions
        listed = set(re.findall(r"^  - \[(.+)\]\(#", section("The decisions"), re.MULTILINE))
        assert listed == decisions


def without_code(file: Path) -> str:
    """Return a document without its blocks of code, in which a bracket is no link and `#` no heading."""
    return re.sub(r"^```.*?^```$", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)


def leads_somewhere(file: Path, link: str) -> bool:
    """Tell whether a relative link names a file that there is and, behind `#`, a heading in it."""
    path, _, anchor = link.partition("#")
    target = (file.parent / path).resolve() if path else file
    if not target.exists():
        return False
    headings = re.findall(r"^#+ (.+)$", without_code(target), re.MULTILINE) if anchor else []
    return not anchor or anchor in {anchor_of(heading) for heading in headings}


def anchor_of(heading: str) -> str:
    """Return what GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


class TestWords:
    """What the glossary has settled."""

    def test_are_explained_once(self) -> None:
        words = [
            word
            for cell in re.findall(r"^\| ([^|`]+) \|", section("The words"), re.MULTILINE)
            for word in cell.split(", ")
        ]
        assert len(words) > 40
        assert [word for word in words if words.count(word) > 1 and word not in TITLES] == []

    @pytest.mark.parametrize(("given_up", "settled"), GIVEN_UP.items())
    def test_that_were_given_up_are_gone(self, given_up: str, settled: str) -> None:
        told = [
            file
            for file in files()
            if file.suffix in (".py", ".md", ".html", ".svg") and not {"tests", "results"} & set(file.parts)
        ]
        assert [
            str(file.relative_to(ROOT))
            for file in told
            if re.search(given_up, file.read_text(), re.IGNORECASE)
        ] == [], f"say {settled!r}"


@pytest.mark.django_db(transaction=True)
class TestWay:
    """The stops are entered one after the other by a real request."""

    @pytest.fixture(autouse=True)
    def server(self, settings: Settings, tmp_path: Path) -> Iterator[None]:
        settings.RESILIENCE = {**settings.RESILIENCE, "STATIC_DIR": str(tmp_path)}
        with server_role(clock=ManualClock()):
            music = Field.objects.create(title="Music", category=Category.objects.create(title="Arts"))
            Course.objects.create(title="Jazz", field=music)
            yield
        cache.clear()
        stored.forget()
        fresh.forget()

    def test_of_a_read(self) -> None:
        status, entered = walked(lambda: ask("GET", ASKED))
        assert status == "200 OK"
        assert missed(stops("A read"), entered) == []

    def test_of_the_same_read_while_the_database_is_down(self) -> None:
        building.from_live()
        registry.breaker("database").isolate(who="ada", why="for the test")
        status, entered = walked(lambda: ask("GET", ASKED))
        assert status == "200 OK"
        assert missed(stops("The same read while the database is down"), entered) == []

    def test_of_a_write(self) -> None:
        User.objects.create_superuser("ada", password="correct horse battery")
        _, answer = ask("POST", "/api/auth/token", username="ada", password="correct horse battery")
        headers = {
            "HTTP_AUTHORIZATION": f"Bearer {answer['access_token']}",
            "HTTP_IDEMPOTENCY_KEY": "once",
        }
        course = {"title": "Jazz piano", "field": "music", "level": "100"}
        status, entered = walked(lambda: ask("POST", "/api/courses", headers, **course))
        assert status == "201 Created"
        assert missed(stops("A write"), entered) == []

    def test_of_a_call_that_fails(self) -> None:
        guard = registry.guard("external_api", pool="external")

        def fail() -> None:
            raise requests.ConnectionError

        def fail_often() -> tuple[str, None]:
            for _ in range(5):
                with suppress(requests.ConnectionError):
                    guard.call(fail)
            return registry.breaker("external_api").shown().value, None

        state, entered = walked(fail_often)
        assert state == "OPEN"
        assert missed(stops("A call that fails"), entered) == []

    def test_of_an_order(self, settings: Settings) -> None:
        settings.OPS_TOKEN = "for this test alone, and of no use"
        registry.breaker("database").isolate(who="ada", why="for the test")
        token = {"HTTP_AUTHORIZATION": f"Bearer {settings.OPS_TOKEN}"}
        status, entered = walked(lambda: ask("POST", "/api/admin/reset-circuit-breakers", token))
        assert status == "200 OK"
        assert missed(stops("An operator's order"), entered) == []


def ask(
    method: str, address: str, headers: dict[str, str] | None = None, **members: str
) -> tuple[str, dict[str, Any]]:
    """Ask the site's own WSGI application; return status line and body."""
    path, _, query = address.partition("?")
    body = json.dumps(members).encode() if members else b""
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}
    environ |= {"HTTP_HOST": "testserver", "wsgi.input": io.BytesIO(body), **(headers or {})}
    if members:
        environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
    setup_testing_defaults(environ)
    started: list[str] = []
    answer = b"".join(application(environ, lambda status, *_: started.append(status)))
    return started[0], json.loads(answer)


def walked(act: Callable[[], tuple[str, object]]) -> tuple[str, list[tuple[str, str]]]:
    """Return the status of what `act` asks for, and each function of the product that it entered."""
    entered: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(ROOT)):
            entered.append((str(Path(code.co_filename).relative_to(ROOT)), code.co_qualname))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        status, _ = act()
    finally:
        sys.setprofile(before)
    return status, entered


def missed(told: list[Stop], entered: list[tuple[str, str]]) -> list[str]:
    """Return the first stop that was not entered after those before it.

    A function that was made within the one that is named counts as that one.
    """
    way = iter(entered)
    for stop in told:
        if not any(
            file == stop.file and (name == stop.name or name.startswith(f"{stop.name}.<locals>."))
            for file, name in way
        ):
            return [f"not entered in this order, correct ARCHITECTURE.md: {stop}"]
    return []
