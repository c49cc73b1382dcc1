"""What is exported comes back exactly, by `loaddata` and by `import_catalogue`."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import IO, Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from learn import exporting
from learn.exporting import export
from learn.models import Category, Course, Field
from tests.conftest import _default_is
from tests.learn.importer import run
from zenow.settings.addresses import database_settings

pytestmark = pytest.mark.django_db

TITLES = (
    "Quotes \"double\", 'single', “curly”",
    "Semicolon; comma, tab\tbar|",
    "=1+1",
    "Ελληνικά — Ὀδύσσεια",
    "Русский язык",
    "العربية والخط",
    "עברית",
    "हिन्दी व्याकरण",
    "日本語の「文法」",
    "한국어",
    "Emoji 👩‍🔬 and Z̷a̷l̷g̷o̷",
    "Cafe\u0301 decomposed",
    "null",
    "[1, 2]",
)
COLUMNS = tuple(
    field.attname for field in Course._meta.concrete_fields if field.attname not in {"id", "field_id"}
)


def fill() -> None:
    category = Category.objects.create(title="Tous | les «arts»", description='a "b"\r\nc', code="021")
    field = Field.objects.create(title="Поэзия; проза", category=category, published=False)
    for number, title in enumerate(TITLES):
        Course.objects.create(
            field=field,
            title=title,
            code=f"0{number}" if number % 2 else None,
            summary=f"{title}\n{title}",
            description=f'  first "line"\r\n\n\tsecond \\ {title}  ',
            level="Über-100" if number % 3 else None,
            language="pt-br" if number % 2 else None,
            duration_hours=Decimal("12.25") if number % 2 else None,
            credits=Decimal(0) if number % 3 else None,
            provider="Åbo" if number % 2 else None,
            url="https://example.org/?a=1&b=%20" if number % 2 else None,
            terms=["2025-autumn", "a|b", "[", title[:50].strip()][: number % 5],
            published=bool(number % 4),
            created=datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        )
    Course.objects.filter(code="01").update(revision=7)


def stored(*columns: str) -> list[tuple[Any, ...]]:
    return list(Course.objects.order_by("slug").values_list("field__slug", *columns))


def empty(*models: type[Course | Field | Category]) -> None:
    for model in models:
        model.objects.all().delete()


class TestRoundTrip:
    def test_loaddata_brings_everything_back(self, on_both_databases: str, tmp_path: Path) -> None:
        fill()
        # It is made of the field's key, which is another in another database.
        columns = [column for column in COLUMNS if column != "identity"]
        before = stored(*columns), list(Field.objects.values_list()), list(Category.objects.values_list())
        assert export(tmp_path) == {
            "categories.json": 1,
            "fields.json": 1,
            "courses.json": len(TITLES),
            "courses.csv": len(TITLES),
        }
        files = [tmp_path / f"{name}.json" for name in ("categories", "fields", "courses")]
        empty(Course, Field, Category)
        call_command("loaddata", *files, verbosity=0)
        after = stored(*columns), list(Field.objects.values_list()), list(Category.objects.values_list())
        assert after[0] == before[0]
        for then, now in zip(before[1:], after[1:], strict=True):
            assert [row[1:-1] for row in now] == [row[1:-1] for row in then]

    @pytest.mark.parametrize("name", ["courses.csv", "courses.json"])
    def test_import_catalogue_brings_every_column_back(
        self, on_both_databases: str, tmp_path: Path, name: str
    ) -> None:
        fill()
        # An import makes a new row: what the catalogue keeps about a row is new too.
        columns = [column for column in COLUMNS if column not in {"created", "updated", "revision"}]
        before = stored(*columns)
        export(tmp_path)
        assert "14 unchanged" in run(tmp_path / name).said
        empty(Course)
        assert run(tmp_path / name) == (0, "14 created, 0 updated, 0 unchanged, 0 rejected.\n")
        assert stored(*columns) == before

    def test_is_the_same_twice(self, tmp_path: Path) -> None:
        fill()
        for name in ("a", "b"):
            export(tmp_path / name)
        for path in (tmp_path / "a").iterdir():
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()

    def test_an_empty_catalogue_comes_back(self, tmp_path: Path) -> None:
        export(tmp_path)
        for name in ("courses.csv", "courses.json"):
            assert run(tmp_path / name).status == 0


class TestFiles:
    def test_an_export_that_fails_leaves_the_last_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill()
        export(tmp_path)
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        empty(Course)

        def fail(file: object) -> int:
            raise DatabaseError("gone")

        monkeypatch.setattr(exporting, "_write_table", fail)
        with pytest.raises(CommandError, match="gone"):
            call_command("export_catalogue", tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    def test_a_directory_that_cannot_be_made_is_explained(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(CommandError, match="File exists") as caught:
            call_command("export_catalogue", tmp_path / "file")
        assert caught.value.returncode == 2

    def test_says_what_it_wrote(self, tmp_path: Path) -> None:
        out = StringIO()
        call_command("export_catalogue", tmp_path / "new" / "directory", stdout=out)
        assert f"{tmp_path / 'new' / 'directory' / 'courses.csv'}: 0 rows" in out.getvalue()

    def test_says_what_a_spreadsheet_would_run(self, tmp_path: Path) -> None:
        field = Field.objects.create(title="Music", category=Category.objects.create(title="Arts"))
        said = StringIO()
        Course.objects.create(title="Jazz", field=field, summary="a = b")
        call_command("export_catalogue", tmp_path, stdout=StringIO(), stderr=said)
        assert said.getvalue() == ""
        Course.objects.create(title='=HYPERLINK("https://evil.example")', field=field, summary="@SUM(1)")
        call_command("export_catalogue", tmp_path, stdout=StringIO(), stderr=said)
        assert "2 cells begin as formulas do" in said.getvalue()
        assert '"@SUM(1)"' in (tmp_path / "courses.csv").read_text()


class TestWriters:
    def test_are_not_held_up_and_what_they_write_is_not_in_the_export(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database = tmp_path / "live.sqlite3"
        with _default_is(database_settings(f"sqlite:///{database}")):
            call_command("migrate", verbosity=0, interactive=False)
            fill()
            writer = sqlite3.connect(database, timeout=0, isolation_level=None)
            real = exporting._write_table

            def beside_a_writer(file: IO[str]) -> None:
                writer.execute("UPDATE learn_course SET provider = 'meanwhile'")
                real(file)

            monkeypatch.setattr(exporting, "_write_table", beside_a_writer)
            export(tmp_path / "exported")
            writer.close()
            assert set(Course.objects.values_list("provider", flat=True)) == {"meanwhile"}
        assert "meanwhile" not in (tmp_path / "exported" / "courses.csv").read_text()
