"""What bad input gets: a clear message, the right status, and nothing half-stored."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from learn.importing.source import MAX_RECORD
from learn.models import Course
from tests.learn.importer import make_field, run, write

pytestmark = pytest.mark.django_db

HEADER = "title,field,credits,summary\n"
GOOD = "Good,physics,1,fine\n"


class Case(NamedTuple):
    name: str
    content: str | bytes
    status: int
    message: str
    stored: int = 1
    """How many courses went in: the rows called Good."""


ROWS = (
    Case("a NUL byte", f"{HEADER}A\0B,physics,1,x\n{GOOD}", 1, "line 2, title: holds a NUL character"),
    Case(
        "a lone surrogate (JSON)",
        '{"title": "A\\ud800", "field": "physics"}\n{"title": "Good", "field": "physics"}',
        1,
        "line 1, title: holds half of a surrogate pair",
    ),
    Case(
        "a surrogate encoded as UTF-8",
        HEADER.encode() + b"A\xed\xa0\x80,physics,1,x\n" + GOOD.encode(),
        1,
        "line 2, title: holds bytes that the file's encoding does not have (0xED 0xA0 0x80)",
    ),
    Case(
        "an over-long title",
        f"{HEADER}{'x' * 301},physics,1,x\n{GOOD}",
        1,
        "line 2, title: is 301 characters",
    ),
    Case("an over-long field", f"{HEADER}A,{'x' * 400},1,x\n{GOOD}", 1, "line 2, field: is 400 characters"),
    Case(
        "a row of 1 MiB",
        f"{HEADER}A,physics,1,{'x' * 2**20}\n{GOOD}",
        1,
        f"longer than {MAX_RECORD} characters",
    ),
    Case(
        "an unknown field", f"{HEADER}A,alchemy,1,x\n{GOOD}", 1, "line 2, field: there is no field 'alchemy'"
    ),
    Case(
        "an unknown category",
        "category,title,field\nmagic,A,physics\nscience,Good,physics\n",
        1,
        "line 2, category: there is no category 'magic'",
    ),
    Case(
        "a field of another category",
        "category,title,field\narts,A,physics\nscience,Good,physics\n",
        1,
        "line 2, field: 'physics' lies in another category",
    ),
    Case(
        "the same key twice (title)",
        f"{HEADER}{GOOD}GOOD,Physics,2,again\n",
        1,
        "line 3, title: has the field and title of line 2",
    ),
    Case(
        "the same key twice (code)",
        "title,field,provider,code\nGood,physics,P,C1\nOther,physics,p,c1\n",
        1,
        "line 3, code: has the provider and code of line 2",
    ),
    Case(
        "an unclosed quote",
        f'{HEADER}"A,physics,1,x\n{GOOD}',
        1,
        "line 2: a quote that is opened here is not closed",
    ),
    Case(
        "text after a quote", f'{HEADER}"A"x,physics,1,x\n{GOOD}', 1, "line 2: text follows a closing quote"
    ),
    Case("too many values", f"{HEADER}A,physics,1,x,y\n{GOOD}", 1, "line 2: holds 5 values"),
    Case(
        "an odd `published`", "title,field,published\nA,physics,perhaps\nGood,physics,ja\n", 1, "neither true"
    ),
    Case(
        "an over-long code",
        f"title,field,code\nA,physics,{'x' * 65}\nGood,physics,c\n",
        1,
        "line 2, code: is 65",
    ),
    Case("an empty title", f"{HEADER} ,physics,1,x\n{GOOD}", 1, "line 2, title: is empty"),
    Case("an empty field", f"{HEADER}A,,1,x\n{GOOD}", 1, "line 2, field: is empty"),
    Case(
        "no column for the title", "name,field\nA,physics\n", 2, "no column 'title'. It has: name, field", 0
    ),
    Case("a column twice", "title,field,TITLE\nA,physics,B\n", 2, "'title' appears twice", 0),
    Case(
        "Cyrillic in windows-1251",
        f"{HEADER}Оптика,physics,1,x\n".encode("cp1251"),
        2,
        "neither UTF-8 nor windows-1252: name its encoding",
        0,
    ),
    Case(
        "one byte that UTF-8 has not, among many that it has",
        f"{HEADER}Good,physics,1,é\n".encode() + b"\xe9,physics,1,x\n",
        1,
        "line 3, title: holds bytes that the file's encoding does not have (0xE9)",
    ),
    Case("neither text nor UTF-16", b"PNG" + bytes(90), 2, "holds many NUL bytes", 0),
    Case(
        "a header with an unclosed quote",
        f'"title,field\n{GOOD * 9}',
        2,
        "first row cannot be parsed",
        0,
    ),
    Case("an empty file", "", 2, "is empty", 0),
    Case("only blank lines and a mark", "\ufeff\n\r\n\n", 2, "is empty", 0),
    Case("only a header", HEADER, 0, "0 created, 0 updated, 0 unchanged, 0 rejected", 0),
    Case("a workbook", b"PK\x03\x04" + bytes(range(200)), 2, "workbook: save the sheet as CSV", 0),
    Case("gzip", b"\x1f\x8b\x08\x00abc", 2, "unpack it first", 0),
    Case("a web page", "<!doctype html>\n<html><body>Not found</body></html>\n", 2, "no column 'title'", 0),
    Case(
        "broken JSON",
        '[{"title": "A", "field": }, {"title": "Good", "field": "physics"}]',
        1,
        "line 1: is not a JSON object",
    ),
    Case(
        "a cut-off JSON array",
        '[{"title": "Good", "field": "physics"},\n{"title": "B", "fie',
        1,
        "line 2: the file ends inside this object",
    ),
    Case("JSON without objects", "[1, 2]", 1, "an object was expected here, not '1'", 0),
    Case(
        "a nested value (JSON)",
        '[{"title": {"en": "A"}, "field": "physics"}, {"title": "Good", "field": "physics"}]',
        1,
        "line 1, title: is neither a text nor a number",
    ),
    Case(
        "a list for the title (JSON)",
        '[{"title": ["A"], "field": "physics"}, {"title": "Good", "field": "physics"}]',
        1,
        "line 1, title: is a list",
    ),
    Case(
        "a fixture of fields",
        '[{"model": "learn.field", "fields": {"title": "A"}}]',
        1,
        "loaddata loads it",
        0,
    ),
    Case(
        "a terminal's control characters",
        f"{HEADER}A,\x1b[31mred,1,x\n{GOOD}",
        1,
        "line 2, field: there is no field '\\x1b[31mred'",
    ),
)


# A value of an optional column that cannot be read, and what is said of it.
VALUES = (
    *(("credits", value, "line 2, credits: ") for value in ("many", "-1", "NaN", "Infinity", "1e9", "1.005")),
    ("credits", "12345678", "line 2, credits: Ensure that there are no more than"),
    ("duration_hours", "3 hours", "line 2, duration_hours: “3 hours” value must be a decimal number"),
    ("duration_hours", "n/a", "line 2, duration_hours: “n/a” value must be a decimal number"),
    ("language", "English", "line 2, language: Give a language tag"),
    ("level", "x" * 51, "line 2, level: is 51 characters"),
    ("summary", "x" * 1001, "line 2, summary: is 1001 characters"),
    ("summary", "a\0b", "line 2, summary: holds a NUL character"),
    ("url", "javascript:x", "line 2, url: Enter a valid URL"),
    ("terms", "t|" * 101, "line 2, terms: Give a list of"),
)


class TestAnOddValueOfAnOptionalColumn:
    @pytest.mark.parametrize(("name", "value", "message"), VALUES)
    def test_costs_the_value_not_the_row(self, tmp_path: Path, name: str, value: str, message: str) -> None:
        make_field()
        path = write(tmp_path, f"title,field,{name}\nGood,physics,{value}\n")
        ended = run(path)
        assert ended.status == 0
        assert message in ended.said
        assert "the row goes in without it" in ended.said
        assert "Values that could not be read: 1." in ended.said
        assert not getattr(Course.objects.get(), name)

    @pytest.mark.parametrize(("name", "value", "message"), VALUES)
    def test_rejects_the_row_when_strict(self, tmp_path: Path, name: str, value: str, message: str) -> None:
        make_field()
        ended = run(write(tmp_path, f"title,field,{name}\nGood,physics,{value}\n"), "--strict")
        assert ended.status == 1
        assert message in ended.said
        assert not Course.objects.exists()

    def test_leaves_a_known_course_what_it_had(self, tmp_path: Path) -> None:
        make_field()
        run(write(tmp_path, "title,field,credits,level\nOptics,physics,3,100\n"))
        ended = run(write(tmp_path, "title,field,credits,level\nOptics,physics,three,200\n"))
        assert ended.status == 0
        assert "1 updated" in ended.said
        course = Course.objects.get()
        assert (course.credits, course.level) == (3, "200")

    def test_stands_in_the_report(self, tmp_path: Path) -> None:
        make_field()
        path = write(tmp_path, "title,field,credits,level\nA,physics,x,100\nB,nowhere,y,100\n")
        report = tmp_path / "report.json"
        run(path, "--report", report)
        written = json.loads(report.read_text())
        assert [(row["line"], row["column"], row["costs"]) for row in written["rows"]] == [
            (2, "credits", "value"),
            (3, "field", "row"),
        ]
        assert (written["rejected"], written["unread_values"]) == (1, 1)

    def test_that_the_user_gives_for_all_rows_rejects_them(self, tmp_path: Path) -> None:
        make_field()
        ended = run(write(tmp_path, "title,field\nA,physics\n"), "--set", "credits=many")
        assert ended.status == 1

    def test_is_shown_twenty_times_at_most(self, tmp_path: Path) -> None:
        make_field()
        rows = "".join(f"T{number},physics,x\n" for number in range(50))
        ended = run(write(tmp_path, f"title,field,credits\n{rows}"))
        assert ended.said.count("the row goes in without it") == 20
        assert "… and 30 more values" in ended.said


class TestBadInput:
    @pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
    def test_is_explained_and_leaves_nothing_half_stored(
        self, case: Case, tmp_path: Path, record_property: Callable[[str, object], None]
    ) -> None:
        make_field()
        make_field("Painting", "Arts")
        ended = run(write(tmp_path, case.content))
        record_property("got", f"{case.name}\t{ended.status}\t{case.stored}\t{ended.said.splitlines()[0]}")
        assert (ended.status, Course.objects.count()) == (case.status, case.stored)
        assert case.message in ended.said
        assert set(Course.objects.values_list("title", flat=True)) <= {"Good"}

    @pytest.mark.parametrize("case", [case for case in ROWS if case.status == 1], ids=lambda case: case.name)
    def test_stores_nothing_at_all_when_strict(self, case: Case, tmp_path: Path) -> None:
        make_field()
        make_field("Painting", "Arts")
        ended = run(write(tmp_path, case.content), "--strict")
        assert ended.status == 1
        assert "Nothing was stored" in ended.said
        assert not Course.objects.exists()


@pytest.fixture
def places(tmp_path: Path) -> Iterator[dict[str, Path]]:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        yield {
            "missing": tmp_path / "nowhere.csv",
            "directory": tmp_path,
            "pipe": tmp_path / "pipe",
            "socket": tmp_path / "socket",
            "loop": tmp_path / "loop",
            "endless": Path("/dev/zero"),
            "nul": Path("a\0b"),
        }


class TestWhatIsNoFile:
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("missing", "No such file"),
            ("directory", "is a directory"),
            ("pipe", "not an ordinary file"),
            ("socket", "cannot be opened"),
            ("loop", "cannot be opened"),
            ("endless", "not an ordinary file"),
            ("nul", "cannot be opened"),
        ],
    )
    def test_is_refused_at_once(
        self, places: dict[str, Path], name: str, message: str, record_property: Callable[[str, object], None]
    ) -> None:
        ended = run(places[name])
        record_property("got", f"{name}\t{ended.status}\t0\t{ended.said.splitlines()[0]}")
        assert ended.status == 2
        assert message in ended.said

    def test_a_file_that_may_not_be_read_is_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path, HEADER + GOOD)
        path.chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # root may read whatever its mode
        try:
            ended = run(path)
        finally:
            os.seteuid(user)
        assert ended == (2, f"{path}: cannot be opened: Permission denied.")
