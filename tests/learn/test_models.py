"""Slugs, revisions, derived columns and who is public."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from learn.folding import identity_of
from learn.models import Category, Course, Field

pytestmark = pytest.mark.django_db


class TestSlug:
    @pytest.mark.parametrize(
        ("title", "slug"),
        [
            ("Introduction to C# & .NET", "introduction-to-c-net"),
            ("Künste: Straße", "künste-straße"),
            ("İstanbul Tarihi", "istanbul-tarihi"),
            ("Основы химии", "основы-химии"),
            ("機械学習 入門", "機械学習-入門"),
            ("हिन्दी भाषा", "हिन्दी-भाषा"),
            ("ภาษาไทย", "ภาษาไทย"),
            ("اللغة العربية", "اللغة-العربية"),
            ("🎉🎉", "category"),
        ],
    )
    def test_is_made_of_the_title_in_any_script(self, title: str, slug: str) -> None:
        category = Category.objects.create(title=title)
        category.full_clean()
        assert category.slug == slug

    def test_stays_when_the_title_changes(self, category: Category) -> None:
        slug = category.slug
        category.title = "Something else"
        category.save()
        category.refresh_from_db()
        assert (category.slug, category.title) == (slug, "Something else")

    def test_is_numbered_when_it_is_taken(self) -> None:
        slugs = [Category.objects.create(title="Art").slug for _ in range(3)]
        assert slugs == ["art", "art-2", "art-3"]

    def test_of_a_long_title_is_cut_and_still_unique(self) -> None:
        slugs = {Category.objects.create(title="x" * 300).slug for _ in range(12)}
        assert len(slugs) == 12
        assert max(map(len, slugs)) == 120

    @pytest.mark.parametrize("slug", ["Upper", "a b", "a--b", "-a", "a/b", "a.b", "a\0b"])
    def test_of_other_characters_is_refused(self, slug: str) -> None:
        with pytest.raises(ValidationError, match="Use lower-case letters"):
            Category(title="x", slug=slug).full_clean()


class TestRevision:
    def test_starts_at_one_and_rises_with_each_save(self, course: Course) -> None:
        before = course.updated
        assert course.revision == 1
        course.save()
        course.title = "Compiler Construction"
        course.save(update_fields=["title"])
        assert course.revision == 3
        course.refresh_from_db()
        assert course.revision == 3
        assert course.updated > before
        assert course.title_sort == "compiler construction"

    def test_of_two_savers_differs(self, course: Course) -> None:
        mine, yours = Course.objects.get(pk=course.pk), Course.objects.get(pk=course.pk)
        mine.save()
        yours.save()
        assert (mine.revision, yours.revision) == (2, 3)

    def test_is_untouched_when_a_save_fails(self, field: Field, course: Course) -> None:
        twin = Course.objects.create(title="Other", field=field, code="CS-302", provider=course.provider)
        twin.code = "CS-301"
        with pytest.raises(IntegrityError), transaction.atomic():
            twin.save()
        assert twin.revision == 1

    def test_rises_when_rows_are_published_together(self, course: Course) -> None:
        assert Course.objects.all().unpublish() == 1
        assert Course.objects.all().unpublish() == 0
        assert Course.objects.all().publish() == 1
        course.refresh_from_db()
        assert (course.published, course.revision) == (True, 3)


class TestDerivedColumns:
    def test_turn_an_empty_text_into_unknown(self, field: Field) -> None:
        course = Course.objects.create(title="x", field=field, code="", level="", language="", url="")
        course.refresh_from_db()
        assert [course.code, course.level, course.level_key, course.language, course.url] == [None] * 5

    def test_are_filled_by_loaddata(self, course: Course, tmp_path) -> None:  # type: ignore[no-untyped-def]
        path = tmp_path / "courses.json"
        path.write_text(
            '[{"model": "learn.course", "fields":'
            ' {"slug": "é", "title": "É", "field": ["programming"], "level": "Ä", "code": ""}}]'
        )
        call_command("loaddata", path, verbosity=0)
        loaded = Course.objects.get(slug="é")
        assert (loaded.title_sort, loaded.search_text, loaded.level_key, loaded.code) == ("e", "e", "a", None)
        assert loaded.identity == identity_of(field_id=course.field_id, title="é", provider=None, code=None)

    def test_keep_decimals_exactly(self, course: Course) -> None:
        course.refresh_from_db()
        assert (course.duration_hours, course.credits) == (Decimal("40.50"), Decimal("6.00"))


class TestIdentity:
    @pytest.mark.parametrize(
        "twin",
        [
            {"title": "Anything", "code": "cs-301", "provider": "EXAMPLE  college"},
            {"title": "Réseaux"},
        ],
    )
    def test_is_provider_and_code_or_else_field_and_title(
        self, field: Field, course: Course, twin: dict[str, str]
    ) -> None:
        Course.objects.create(title="reseaux", field=field)
        with pytest.raises(ValidationError, match="This course is there already"):
            Course(field=field, **twin).clean()
        with pytest.raises(IntegrityError), transaction.atomic():
            Course.objects.create(field=field, **twin)

    def test_of_one_title_in_two_fields_differs(self, category: Category, field: Field) -> None:
        other = Field.objects.create(title="Networks", category=category)
        Course.objects.create(title="Topics", field=field)
        Course(title="Topics", field=other).clean()
        Course.objects.create(title="Topics", field=other)


class TestPublic:
    def test_needs_every_parent_to_be_published(
        self, category: Category, field: Field, course: Course
    ) -> None:
        def public() -> tuple[int, int, int]:
            return (
                Category.objects.public().count(),
                Field.objects.public().count(),
                Course.objects.public().count(),
            )

        assert public() == (1, 1, 1)
        Course.objects.all().unpublish()
        assert public() == (1, 1, 0)
        Course.objects.all().publish()
        Field.objects.all().unpublish()
        assert public() == (1, 0, 0)
        Field.objects.all().publish()
        Category.objects.all().unpublish()
        assert public() == (0, 0, 0)


def test_a_parent_is_not_deleted_under_its_children(category: Category, course: Course) -> None:
    with pytest.raises(ProtectedError):
        category.delete()
