"""The index follows the table whoever writes, and PostgreSQL's columns compare by code point."""

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.migrations.state import ProjectState
from django.db.migrations.writer import OperationWriter

from learn.models import Course, Field
from learn.search import CreateTrigramExtension, SearchIndex
from tests.conftest import _default_is
from tests.servers import PostgresServer
from zenow.settings.base import database_settings

pytestmark = pytest.mark.django_db


def found(word: str) -> set[str]:
    return set(Course.objects.filter(search_text__has=word).values_list("slug", flat=True))


@pytest.mark.usefixtures("on_both_databases")
class TestIndex:
    def test_follows_every_kind_of_write(self, field: Field, course: Course) -> None:
        rows = [Course(title=f"Bulk {n}", slug=f"bulk-{n}", field=field) for n in range(3)]
        for row in rows:
            row.prepare()
        Course.objects.bulk_create(rows)
        assert found("bulk") == {"bulk-0", "bulk-1", "bulk-2"}
        rows[0].title = "Renamed"
        rows[0].prepare()
        Course.objects.bulk_update(rows[:1], ["title", "title_sort", "search_text"])
        assert (found("bulk"), found("renamed")) == ({"bulk-1", "bulk-2"}, {"bulk-0"})
        Course.objects.filter(slug="bulk-1").update(search_text="by update")
        assert (found("bulk"), found("update")) == ({"bulk-2"}, {"bulk-1"})
        Course.objects.filter(slug="bulk-2").delete()
        assert found("bulk") == set()
        course.title = "Parsers"
        course.save()
        assert (found("compilers"), found("parsers")) == (set(), {"compilers"})

    @pytest.mark.parametrize(
        "word", ["c", "cs", "cs-", "%", "_s-", "o_p", "COMP", '"', 'com"', "compilers cs"]
    )
    def test_takes_every_character_as_it_is(self, course: Course, word: str) -> None:
        assert found(word) == ({"compilers"} if word in course.search_text else set())


class TestSQLite:
    def test_asks_the_index_for_a_word_of_three_characters(self, course: Course) -> None:
        plan = Course.objects.filter(search_text__has="com").order_by().explain()
        assert "learn_course_fts VIRTUAL TABLE" in plan
        assert "SCAN learn_course\n" not in plan + "\n"

    def test_holds_an_index_without_a_flaw(self, course: Course) -> None:
        course.delete()
        with connection.cursor() as cursor:
            for table in ("learn_category_fts", "learn_field_fts", "learn_course_fts"):
                cursor.execute(f"INSERT INTO {table}({table}, rank) VALUES ('integrity-check', 1)")  # noqa: S608


class TestPostgreSQL:
    @pytest.fixture(autouse=True)
    def there(self, postgresql):  # type: ignore[no-untyped-def]
        with postgresql():
            yield

    def test_compares_by_code_point_what_is_ordered_or_looked_up(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_name, column_name FROM information_schema.columns"
                " WHERE table_name LIKE 'learn_%' AND collation_name = 'C'"
            )
            columns = set(cursor.fetchall())
        for table in ("learn_category", "learn_field", "learn_course"):
            assert {(table, name) for name in ("slug", "code", "title_sort")} <= columns
        assert {("learn_course", name) for name in ("level_key", "language", "identity")} <= columns

    def test_has_a_trigram_index_for_each_table(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%gin_trgm_ops%'")
            names = {name for (name,) in cursor.fetchall()}
        assert names == {f"learn_{table}_search_trgm" for table in ("category", "field", "course")}

    def test_uses_it_for_a_word_of_three_characters(self, course: Course) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        assert (
            "learn_course_search_trgm" in Course.objects.filter(search_text__has="ompi").order_by().explain()
        )


def test_migrate_says_who_has_to_create_the_extension(postgres: PostgresServer, db: None) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as server:
        server.execute("CREATE ROLE visitor LOGIN PASSWORD 'visitor'")
        server.execute("CREATE DATABASE visited")
    url = f"postgres://visitor:visitor@127.0.0.1:{postgres.port}/visited"
    with _default_is(database_settings(url)), connection.schema_editor() as editor:
        with pytest.raises(ImproperlyConfigured) as caught:
            CreateTrigramExtension().database_forwards("learn", editor, ProjectState(), ProjectState())
        transaction.set_rollback(True)
    message = str(caught.value)
    assert "let user 'visitor' create the extension pg_trgm: permission denied" in message
    assert "run CREATE EXTENSION pg_trgm in database 'visited'" in message


def test_a_squashed_migration_writes_the_index_as_it_was_written() -> None:
    written, imports = OperationWriter(SearchIndex("course"), indentation=0).serialize()
    assert "".join(written.split()) == "learn.search.SearchIndex(model_name='course',),"
    assert imports == {"import learn.search"}
