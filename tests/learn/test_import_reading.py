"""What the readers make of a file, without a database."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from io import StringIO
from itertools import product
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learn.importing import delimited, objects, scanning
from learn.importing.errors import Rejection, UnreadableError
from learn.importing.layout import Layout, Row
from learn.importing.source import MAX_RECORD, opened
from learn.importing.terms import joined, separated

Found = list[Row | Rejection]
Read = Callable[..., Found]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(content: str | bytes, layout: Layout | None = None) -> Found:
        path = tmp_path / "file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with opened(path) as source:
            if source.looks_like_json:
                return list(objects.rows(source.text, layout or Layout()))
            return list(delimited.rows(source.text, layout or Layout(), []))

    return read


def titles(found: Found) -> list[object]:
    return [row.values["title"] if isinstance(row, Row) else row.line for row in found]


class TestDelimited:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    def test_tells_the_delimiter_and_reads_headers_in_any_order(
        self, read: Read, delimiter: str, line_break: str, mark: str
    ) -> None:
        lines = ("Field{0}Duration hours{0}TITLE", "physics{0}1,5{0}Optics", '"a{0}b"{0}{0}"x ""y"""')
        content = mark + line_break.join(lines).format(delimiter)
        if delimiter == ",":
            content = content.replace("1,5", "1.5")
        first, second = read(content)
        assert isinstance(first, Row)
        assert isinstance(second, Row)
        assert first.values["field"] == "physics"
        assert second.values == {"field": f"a{delimiter}b", "title": 'x "y"', "duration_hours": ""}

    def test_keeps_line_breaks_inside_quotes_and_counts_lines(self, read: Read) -> None:
        content = 'title,field,summary\nA,b,"one\ntwo\r\nthree"\n\nC,d,\nE\n'
        found = read(content)
        assert found[0] == Row(2, {"title": "A", "field": "b", "summary": "one\ntwo\r\nthree"})
        assert found[1:] == [
            Row(6, {"title": "C", "field": "d", "summary": ""}),
            Row(7, {"title": "E", "field": "", "summary": ""}),
        ]

    def test_names_the_columns_of_a_file_without_a_header(self, read: Read) -> None:
        found = read("Optics;physics\nHeat;physics\n", Layout(columns=("title", "field")))
        assert titles(found) == ["Optics", "Heat"]

    def test_reads_a_column_under_another_name(self, read: Read) -> None:
        found = read("Name,field\nOptics,physics\n", Layout(renamed={"title": "name"}))
        assert titles(found) == ["Optics"]

    def test_an_unclosed_quote_costs_one_row(self, read: Read) -> None:
        found = read('title,field\n"A,b\nC,d\nE,"f"\nG,h\n')
        assert titles(found) == [2, "C", "E", "G"]

    def test_a_quote_unclosed_to_the_end_costs_one_row(self, read: Read) -> None:
        rows = "".join(f"T{number},f\n" for number in range(60_000))
        found = read(f'title,field\n"A,b\n{rows}')
        assert len(found) == 60_001
        assert titles(found)[:2] == [2, "T0"]
        assert "is not closed" in found[0].reason if isinstance(found[0], Rejection) else False

    def test_many_unclosed_quotes_are_bounded_in_time(self, read: Read) -> None:
        """Each line seems to continue the one before: nothing may be read a thousand times."""
        found = read("title,field\n" + 'x","y""\n' * 150_000)
        assert any("were not read" in row.reason for row in found if isinstance(row, Rejection))

    def test_a_line_beyond_the_bound_is_passed_over(self, read: Read) -> None:
        found = read(f'title,field\nA,b\n"{"x" * (3 * MAX_RECORD)}",b\n{"y" * MAX_RECORD}z,b\nC,d\n')
        assert titles(found) == ["A", 3, 4, "C"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("title,level\nA,b\n", "no column 'field'"),
            ("title,field,Title\nA,b,c\n", "appears twice"),
            ("títle,é,é,é".encode() + b"\xe9\nA,b\n", "encoding does not have"),
            ('"title,field\nA,b\n', "cannot be parsed"),
        ],
    )
    def test_refuses_a_header_that_cannot_be_used(
        self, read: Read, content: str | bytes, message: str
    ) -> None:
        with pytest.raises(UnreadableError, match=message):
            read(content)


class TestObjects:
    @pytest.mark.parametrize("indent", [None, 0, 2])
    def test_reads_an_array(self, read: Read, indent: int | None) -> None:
        content = json.dumps(
            [{"title": 'A"}', "field": "{", "terms": ["x"]}, {"title": "B\\"}], indent=indent
        )
        found = read(content)
        assert titles(found) == ['A"}', "B\\"]
        assert isinstance(found[0], Row)
        assert found[0].values["terms"] == ["x"]

    def test_reads_an_object_a_line(self, read: Read) -> None:
        found = read('{"title": "A", "credits": 1.50}\n\n{"title": "B", "published": false}\n')
        assert found == [
            Row(1, {"title": "A", "credits": "1.50"}),
            Row(3, {"title": "B", "published": "false"}),
        ]

    def test_a_broken_object_costs_one_row(self, read: Read) -> None:
        content = (
            '{"title": "A}\n{"title": "B"}\n{"title": "C"\n{"title": "D"}\n{"title" "E"}\n{"title": "F"}'
        )
        assert titles(read(content)) == [1, "B", 3, "D", 5, "F"]

    def test_says_that_the_end_is_missing(self, read: Read) -> None:
        whole = '[\n{"title": "A"},\n{"title": "B"}\n]'
        assert titles(read(whole[:-2])) == ["A", "B", 3]
        assert titles(read(whole[:-6])) == ["A", 3]
        assert titles(read(whole)) == ["A", "B"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('{"title": ' + "[" * 100_000 + "]" * 100_000 + "}", "too deeply"),
            ('{"title": "' + "x" * (2 * MAX_RECORD) + '"}', "longer than"),
            ('{"model": "learn.field", "fields": {"title": "A"}}', "loaddata"),
            ('{"title": "A"} 7', "an object was expected"),
        ],
    )
    def test_says_what_is_wrong_with_an_object(self, read: Read, content: str, message: str) -> None:
        *_, rejection = read(content)
        assert isinstance(rejection, Rejection)
        assert message in rejection.reason

    def test_refuses_what_is_no_json(self, tmp_path: Path) -> None:
        path = tmp_path / "page.html"
        path.write_text("<html>")
        with opened(path) as source, pytest.raises(UnreadableError, match="not JSON"):
            list(objects.rows(source.text, Layout()))

    @given(
        st.lists(
            st.dictionaries(st.sampled_from(["title", "field", "summary"]), st.text(max_size=30), min_size=1),
            max_size=8,
        ),
        st.sampled_from([None, 0, 3]),
        st.booleans(),
        st.integers(1, 40),
    )
    @settings(max_examples=200, deadline=None)
    def test_cuts_objects_wherever_a_chunk_ends(
        self, entries: list[dict[str, str]], indent: int | None, escape: bool, size: int
    ) -> None:
        text = json.dumps(entries, indent=indent, ensure_ascii=escape)
        with patch.object(scanning, "_CHUNK", size):
            found = list(objects.rows(StringIO(text), Layout()))
        assert [row.values for row in found if isinstance(row, Row)] == entries
        assert len(found) == len(entries)

    @pytest.mark.parametrize("between", ["\n", "\n \t", ", ", ",\n"])
    @pytest.mark.parametrize(
        ("broken", "size"),
        [
            *product(
                (
                    '{"title": A}',
                    '{"title": tru}',
                    '{"title": "A"]}',
                    '{{"title": "A"}}',
                    '{"title": "A",\n}',
                ),
                (1, 7, 64 * 1024),
            ),
            ('{"title": "' + "x" * 2 * MAX_RECORD + '"}', 64 * 1024),
            ("{" + '"t": [' * 20_000 + "}", 64 * 1024),
        ],
    )
    def test_goes_on_behind_a_broken_object_wherever_a_chunk_ends(
        self, broken: str, between: str, size: int
    ) -> None:
        text = f'[{{"title": "A"}}{between}{broken}{between}{{"title":\n"B"}}{between}{{"title": "C"}}'
        with patch.object(scanning, "_CHUNK", size):
            found = list(objects.rows(StringIO(text), Layout()))
        line = 1 + between.count("\n")
        assert titles(found) == ["A", line, "B", "C"]
        behind = line + (broken + between).count("\n")
        assert [row.line for row in found[2:]] == [behind, behind + 1 + between.count("\n")]


class TestMemory:
    @pytest.mark.parametrize("kind", ["delimited", "array", "one line"])
    def test_does_not_grow_with_the_file(self, tmp_path: Path, kind: str) -> None:
        peaks = []
        for count in (800, 6_000):
            path = tmp_path / f"{count}"
            with path.open("w") as file:
                if kind == "delimited":
                    file.write("title,field,summary\n")
                    file.writelines(f'T{n},f,"{"s" * 200}"\n' for n in range(count))
                else:
                    separator = ",\n" if kind == "array" else ","
                    entry = json.dumps({"title": "T", "field": "f", "summary": "s" * 200})
                    file.write("[" + separator.join([entry] * count) + "]")
            tracemalloc.start()
            with opened(path) as source:
                rows = (
                    objects.rows(source.text, Layout())
                    if source.looks_like_json
                    else delimited.rows(source.text, Layout(), [])
                )
                assert sum(isinstance(row, Row) for row in rows) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < peaks[0] * 1.2


class TestTerms:
    @given(st.lists(st.text(max_size=8), max_size=5))
    def test_come_back_from_one_cell(self, terms: list[str]) -> None:
        assert separated(joined(terms)) == terms

    def test_are_separated_by_bars(self) -> None:
        assert separated("2025-autumn | 2026-spring|") == ["2025-autumn", "2026-spring"]
