"""Every way to write the catalogue raises its version; every way to hide something, its removals."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import transaction
from django.db.migrations import Migration

from learn.models import Category, Course, Field
from resilience import registry
from resilience.models import Generation
from resilience.observe.metrics import exposition
from resilience.primitives import Mark
from resilience.primitives.store.marks import Marks
from resilience.testing import server_role
from resilience.tiers import catalogue_version

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def server() -> Iterator[None]:
    with server_role():
        yield


@pytest.fixture
def course(server: None) -> Course:
    arts = Category.objects.create(title="Arts")
    music = Field.objects.create(title="Music", category=arts)
    Field.objects.create(title="Hidden", category=arts, published=False)
    made: Course = Course.objects.create(title="Jazz", field=music)
    return made


def _counted(outcome: str) -> float:
    """Return what a scrape says of versions that the host learned late, or not from their writer."""
    said, _ = exposition("text/plain")
    name = f'resilience_catalogue_version_total{{outcome="{outcome}"}} '
    return next(float(line[len(name) :]) for line in said.decode().splitlines() if line.startswith(name))


def _rename(course: Course) -> None:
    course.title = "Jazz piano"
    course.save()


def _hide(course: Course) -> None:
    course.published = False
    course.save()


def _hide_category(course: Course) -> None:
    course.field.category.published = False
    course.field.category.save()


def _move_under_a_draft(course: Course) -> None:
    course.field = Field.objects.get(title="Hidden")
    course.save()


def _bulk_create(course: Course) -> None:
    other = Course(title="Blues", slug="blues", field=course.field)
    other.prepare()
    Course.objects.bulk_create([other])


def _bulk_update(course: Course) -> None:
    course.summary = "short"
    Course.objects.bulk_update([course], ["summary"])


def _refold(course: Course) -> None:
    Course._base_manager.update(title_sort="of an older folding")
    call_command("refold_catalogue", stdout=io.StringIO())


def _migrate(course: Course, app: str = "learn") -> None:
    """Do what `migrate` does after the migrations of an app, which send no signals of their rows."""
    plan = [(Migration("0009_hides_a_row", app), False)]
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default", plan=plan)


WRITES: dict[str, tuple[Callable[[Course], Any], bool]] = {
    "save": (_rename, False),
    "create": (lambda course: Course.objects.create(title="Blues", field=course.field), False),
    "update": (lambda _: Course.objects.update(summary="short"), False),
    "bulk_create": (_bulk_create, False),
    "bulk_update": (_bulk_update, False),
    "publish": (lambda _: Field.objects.filter(title="Hidden").publish(), False),
    "unpublish": (lambda _: Course.objects.unpublish(), True),
    "unpublished by save": (_hide, True),
    "its category unpublished": (_hide_category, True),
    "moved under a draft": (_move_under_a_draft, True),
    "moved by update": (lambda _: Course.objects.update(field=Field.objects.get(title="Hidden")), True),
    "delete": (lambda course: course.delete(), True),
    "delete of a query": (lambda _: Course.objects.all().delete(), True),
    "refold_catalogue": (_refold, False),
    "migrate": (_migrate, True),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_known_to_the_host_once_it_is_committed(course: Course, name: str) -> None:
    write, removes = WRITES[name]
    before = catalogue_version.current()
    with transaction.atomic():
        write(course)
        assert catalogue_version.current() == before
    after = catalogue_version.current()
    assert after.version > before.version
    assert (after.removals > before.removals) is removes
    assert Generation.objects.values_list("generation", "removals").get() == after


class TestRaising:
    def test_loaddata_raises_it_too(self) -> None:
        call_command("loaddata", "fixtures/categories.json", verbosity=0)
        assert catalogue_version.current().version > 1

    def test_a_migration_of_an_app_that_is_not_exported_raises_nothing(self, course: Course) -> None:
        before = catalogue_version.current()
        _migrate(course, "auth")
        assert catalogue_version.current() == before

    def test_a_migration_raises_nothing_where_nobody_has_written(self) -> None:
        Generation.objects.all().delete()
        _migrate(Course())
        assert not Generation.objects.exists()

    def test_one_transaction_raises_it_once(self, course: Course) -> None:
        before = catalogue_version.current()
        with transaction.atomic():
            _rename(course)
            _hide(course)
        after = catalogue_version.current()
        assert (after.version - before.version, after.removals - before.removals) == (1, 1)

    def test_a_write_that_is_rolled_back_raises_nothing(self, course: Course) -> None:
        before = catalogue_version.current()
        with transaction.atomic():
            _rename(course)
            transaction.set_rollback(True)
        with transaction.atomic():
            pass
        assert catalogue_version.current() == before

    @pytest.mark.parametrize("stored", [True, False])
    def test_in_a_section_by_hand_it_counts_when_that_was_stored(self, course: Course, stored: bool) -> None:
        before = catalogue_version.current()
        user = User.objects.create_user("ada")
        transaction.set_autocommit(False)
        try:
            _rename(course)
            user.is_active = False
            user.save()  # Which ends the passes of the user, after the commit too.
            catalogue_version.raise_version()
            if stored:
                transaction.commit()
            else:
                transaction.rollback()
        finally:
            transaction.set_autocommit(True)
        assert (catalogue_version.current().version > before.version) == stored
        assert User.objects.get().is_active != stored

    def test_outside_a_transaction_it_counts_at_once(self, course: Course) -> None:
        before = catalogue_version.current()
        _rename(course)
        assert catalogue_version.current().version == before.version + 1

    def test_many_rows_of_one_transaction_tell_the_host_once(
        self, course: Course, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[int] = []

        def rise(_: Marks, row: int = 1, **__: int) -> bool:
            told.append(row)
            return False

        monkeypatch.setattr(Marks, "rise", rise)
        with transaction.atomic():
            for _ in range(3):
                catalogue_version.raise_version()
        assert len(told) == 1
        assert _counted("late") == 1

    def test_a_store_that_fails_is_counted_and_logged(
        self, course: Course, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def rise(*_: object, **__: object) -> bool:
            raise OSError("no such store")

        monkeypatch.setattr(Marks, "rise", rise)
        with transaction.atomic():
            _rename(course)
        assert _counted("failed") == 1
        assert "the store failed" in caplog.text

    def test_what_others_wrote_comes_with_the_next_refresh(self) -> None:
        Generation.objects.update_or_create(pk=1, defaults={"generation": 7_000, "removals": 12})
        catalogue_version.refresh()
        assert catalogue_version.current() == Mark(7_000, 12)

    def test_a_row_that_is_not_there_yet_changes_nothing(self) -> None:
        Generation.objects.all().delete()
        before = registry.store().marks.read()
        catalogue_version.refresh()
        assert catalogue_version.current() == before
