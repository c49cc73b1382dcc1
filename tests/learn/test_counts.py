"""A list counts its rows once in each state of the catalogue, and shows them with a page of that state."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import Count, Value
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from learn.models import Category, Course, Field
from learn.pagination import EitherEnd
from learn.rows import EntryQuerySet
from resilience import registry
from resilience.models import Generation
from resilience.primitives import ManualClock
from resilience.testing import server_role
from resilience.tiers import counts, fresh, stored
from resilience.tiers.static_copy import building, opened

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(autouse=True)
def music(settings: Settings, tmp_path: Path, clock: ManualClock) -> Iterator[Field]:
    settings.RESILIENCE = {**settings.RESILIENCE, "STATIC_DIR": str(tmp_path)}
    with server_role(clock=clock):
        field = Field.objects.create(title="Music", category=Category.objects.create(title="Arts"))
        for number in range(7):
            Course.objects.create(title=f"Jazz {number}", field=field, level="Basic" if number % 2 else None)
        yield field
    for each in (cache.clear, stored.forget, fresh.forget, counts.forget):
        each()


@pytest.fixture
def ask(client: Client) -> Callable[[str], Any]:
    """Ask for a page that no tier has stored."""

    def ask(query: str) -> Any:
        stored.forget()
        fresh.forget()
        cache.clear()
        return client.get(f"/api/courses?{query}").json()

    return ask


def queries(run: Callable[[], object], alias: str = "default") -> list[str]:
    with CaptureQueriesContext(connections[alias]) as captured:
        run()
    return [each["sql"] for each in captured if "learn_course" in each["sql"]]


class TestCount:
    def test_is_taken_once_for_all_pages_and_orders(self, ask: Callable[[str], Any]) -> None:
        assert len(queries(lambda: ask("page_size=2"))) == 2
        for query in ("page_size=2&page=2", "page_size=3", "ordering=-title", "search=++"):
            (only,) = queries(lambda query=query: ask(query))  # type: ignore[misc]
            assert "COUNT" not in only
            assert ask(query)["count"] == 7

    def test_is_taken_again_after_a_write(self, ask: Callable[[str], Any], music: Field) -> None:
        assert ask("page_size=2")["count"] == 7
        Course.objects.create(title="Blues", field=music)
        assert ask("page_size=2")["count"] == 8
        Course.objects.filter(title="Blues").delete()
        assert ask("page_size=2")["count"] == 7

    def test_is_taken_again_after_a_while_whoever_wrote(
        self, ask: Callable[[str], Any], clock: ManualClock
    ) -> None:
        ask("")
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM learn_course WHERE title = 'Jazz 6'")
        clock.advance(30)
        assert ask("")["count"] == 6

    def test_is_told_apart_by_what_is_asked(self, ask: Callable[[str], Any]) -> None:
        Course.objects.create(
            title="Blues", field=Field.objects.create(title="Art", category=Category.objects.get())
        )
        expected = {
            "": 8,
            "level=basic": 3,
            "field=music": 7,
            "field=art": 1,
            "search=blues": 1,
            "search=jazz": 7,
        }
        expected["field=music&search=1+jazz"] = 1
        for _ in range(2):
            assert {query: ask(query)["count"] for query in expected} == expected

    def test_of_nothing_is_taken_each_time(self, ask: Callable[[str], Any], music: Field) -> None:
        assert ask("search=blues")["results"] == []
        Course.objects.create(title="Blues", field=music)
        assert ask("search=blues")["count"] == 1

    def test_in_a_transaction_sees_its_own_writes(self, ask: Callable[[str], Any], music: Field) -> None:
        ask("")
        with transaction.atomic():
            Course.objects.create(title="Blues", field=music)
            assert ask("page_size=50")["count"] == 8
            transaction.set_rollback(True)
        assert ask("page_size=50")["count"] == 7


class TestOneState:
    def test_a_write_between_count_and_page_makes_both_anew(
        self, ask: Callable[[str], Any], music: Field
    ) -> None:
        writes = iter(["Blues", "Ragtime"])

        def write(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            answer = execute(sql, params, many, context)
            if "COUNT" in sql and (title := next(writes, None)):
                Course.objects.create(title=title, field=music)
            return answer

        with connection.execute_wrapper(write):
            body = ask("")
        assert body["count"] == len(body["results"]) == 9

    def test_slow_queries_are_not_made_again_because_somebody_always_writes(
        self, ask: Callable[[str], Any], music: Field, clock: ManualClock
    ) -> None:
        asked: list[str] = []
        writing = False

        def write(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            nonlocal writing
            answer = execute(sql, params, many, context)
            if "learn_course" in sql and not writing:
                asked.append(sql)
                clock.advance(0.3)
                writing = True
                Course.objects.create(title=f"Blues {len(asked)}", field=music)
                writing = False
            return answer

        with connection.execute_wrapper(write):
            body = ask("page_size=50")
        assert len(asked) == 2
        assert body["count"] == 7

    def test_a_kept_count_gives_way_to_a_page_of_another_state(
        self, ask: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ask("")
        # As on another host: this one has not heard of it.
        monkeypatch.setattr(registry.store().marks, "rise", lambda **_: True)
        Course.objects.filter(title__in=("Jazz 5", "Jazz 6")).delete()
        body = ask("page_size=50")
        assert body["count"] == len(body["results"]) == 5
        assert len(ask("page_size=5")["results"]) == 5

    def test_a_row_and_the_generation_are_stored_together(
        self, music: Field, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise DatabaseError("not now")

        monkeypatch.setattr(Generation.objects.none().__class__, "update", refuse)
        with pytest.raises(DatabaseError, match="not now"):
            Course.objects.create(title="Blues", field=music)
        assert not Course.objects.filter(title="Blues").exists()


class TestStaticFile:
    def test_is_counted_once(self, ask: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
        building.from_live()
        registry.breaker("database").isolate(who="a test", why="to see the file")
        assert ask("page_size=2")["degradation"]["source"] == "static"
        monkeypatch.setattr(EntryQuerySet, "count", None, raising=False)
        assert [ask(f"page_size={size}")["count"] for size in (2, 3, 4)] == [7, 7, 7]

    def test_leaves_the_live_count_alone(self, ask: Callable[[str], Any]) -> None:
        """In a crowd some are answered live and some, who found no place, from the file, in turn."""
        building.from_live()
        ask("")
        registry.breaker("database").isolate(who="a test", why="to see the file")
        ask("page=1")
        registry.breaker("database").auto(who="a test", why="to go on")
        assert len(queries(lambda: ask("page_size=5"))) == 1

    def test_is_counted_anew_when_another_takes_its_place(
        self, ask: Callable[[str], Any], music: Field
    ) -> None:
        database = registry.breaker("database")
        for expected in (7, 8):
            building.from_live()
            database.isolate(who="a test", why="to see the file")
            assert ask("page_size=2")["count"] == expected
            database.auto(who="a test", why="to write")
            Course.objects.create(title=f"Blues {expected}", field=music)


class TestPlanOfTheStaticFile:
    """SQLite has to walk the index of the order: sorting all rows took a tenth of a second for 100,000."""

    @pytest.fixture
    def plan(self, music: Field) -> Iterator[Callable[[Any], str]]:
        rows = [
            Course(title=f"Etude {n}", slug=f"etude-{n}", field=music, level="Basic") for n in range(1_500)
        ]
        for row in rows:
            row.prepare()
        Course.objects.bulk_create(rows)
        building.from_live()
        with opened():
            yield lambda rows: str(rows.explain())

    def test_of_a_page_sorts_nothing(self, plan: Callable[[Any], str]) -> None:
        page = Course.objects.public().order_by("title_sort", "slug")[:20]
        found = plan(page.values_list("title", "field__title", "field__category__title"))
        assert "USING INDEX learn_course_title" in found
        assert "TEMP B-TREE" not in found

    def test_of_late_keys_and_of_counts_reads_no_row(self, plan: Callable[[Any], str]) -> None:
        public = Course.objects.public()
        keys = public.order_by("title_sort", "slug")[1_100:1_120].values_list("slug")
        assert "USING COVERING INDEX learn_course_title" in plan(keys)
        for asked in (public, public.filter(field__in=Field.objects.all()), public.filter(level_key="basic")):
            counted = asked.order_by().annotate(one=Value(1)).values("one").annotate(rows=Count("*"))
            assert "USING COVERING INDEX learn_course_" in plan(counted)


class TestLatePage:
    @pytest.mark.parametrize(
        "query",
        [
            "",
            "&ordering=-title",
            "&ordering=level,-title",
            "&search=jazz",
            "&search=a&ordering=-credits,title",
        ],
    )
    def test_is_the_same_when_it_is_found_by_keys_alone(
        self, ask: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, query: str
    ) -> None:
        asked = [f"page_size=2&page={page}{query}" for page in range(1, 5)]
        near = [ask(each) for each in asked]
        monkeypatch.setattr(EitherEnd, "NEAR", -1)
        assert [ask(each) for each in asked] == near
