"""The catalogue, Category → Field → Course, and which of it is public.

A value that a source does not give is NULL, never an empty string or an invented one.
"""

from collections.abc import Iterable
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.utils import timezone

from learn.columns import BytewiseCharField
from learn.folding import folded, identity_of, kept
from learn.normalise import numbered, slugify
from learn.rows import EntryQuerySet
from learn.search import SearchTextField
from learn.validators import (
    LEVEL_LENGTH,
    NOT_NEGATIVE,
    SLUG_LENGTH,
    TITLE_LENGTH,
    WEB_ADDRESS,
    validate_language,
    validate_slug,
    validate_terms,
)


class FieldQuerySet(EntryQuerySet):
    """Rows of `Field`."""

    def public(self) -> Self:
        """Keep published fields of published categories."""
        return super().public().filter(category__published=True)

    def hidden(self) -> Self:
        """Keep fields that are not public: drafts, and fields of a draft category."""
        return self.filter(models.Q(published=False) | models.Q(category__published=False))


class CourseQuerySet(EntryQuerySet):
    """Rows of `Course`."""

    def public(self) -> Self:
        """Keep published courses of public fields."""
        # Excluding the few hidden fields, and not selecting the many public ones, makes a database walk the
        # index of the order, instead of beginning with the fields.
        return super().public().exclude(field__in=Field.objects.hidden())


class EntryManager(models.Manager[Any]):
    """Find entries by slug, so that fixtures need no primary keys."""

    def get_by_natural_key(self, slug: str) -> Any:
        """Return the entry with this slug."""
        return self.get(slug=slug)


class Entry(models.Model):
    """What all rows of the catalogue share: a stable slug, a title, whether it is published, a revision."""

    slug = BytewiseCharField(
        max_length=SLUG_LENGTH,
        unique=True,
        blank=True,
        validators=[validate_slug],
        help_text="Part of the address. Made from the title when empty; stays when the title changes.",
    )
    code = BytewiseCharField(max_length=64, null=True, blank=True, help_text="The source's own code.")
    title = models.CharField(max_length=TITLE_LENGTH)
    description = models.TextField(null=True, blank=True, max_length=20_000)
    published = models.BooleanField(default=True, help_text="Drafts are seen in the admin only.")
    created = models.DateTimeField(default=timezone.now, editable=False)
    updated = models.DateTimeField(default=timezone.now, editable=False)
    revision = models.PositiveBigIntegerField(default=1, editable=False)
    # Filled by prepare().
    title_sort = BytewiseCharField(max_length=TITLE_LENGTH, editable=False)
    search_text = SearchTextField(editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title

    def save(
        self, *, using: str | None = None, update_fields: Iterable[str] | None = None, **options: Any
    ) -> None:
        """Store the entry. A new one gets a slug if it has none; the revision of an old one is raised."""
        using = using or router.db_for_write(type(self), instance=self)
        if not self.slug:
            self.slug = self._free_slug(using)
        was, again = self.revision, not self._state.adding
        if again:
            self.updated = timezone.now()
            # Counted by the database, so that two saves at once never give one revision to two contents.
            self.revision = models.F("revision") + 1
        if update_fields is not None:
            update_fields = {*update_fields, *self._kept_columns()}
        try:
            # A signal raises the catalogue version. This must be in the same transaction, so begin one here.
            with transaction.atomic(using=using, savepoint=False):
                super().save(using=using, update_fields=update_fields, **options)
        except BaseException:
            self.revision = was
            raise
        if again:
            self.refresh_from_db(using=using, fields=["revision"])

    def natural_key(self) -> tuple[str]:
        """Return the slug, by which fixtures name the entry."""
        return (self.slug,)

    def is_public(self) -> bool:
        """Tell whether everybody may see the entry, like public() of the query set."""
        return self.published

    def prepare(self) -> None:
        """Fill the derived columns; to be called before bulk_create() and bulk_update()."""
        for field in self._meta.concrete_fields:
            if field.null and getattr(self, field.attname) == "":
                setattr(self, field.attname, None)
        for name, text in folded(self).items():
            setattr(self, name, text)

    @classmethod
    def _kept_columns(cls) -> set[str]:
        return {"title_sort", "search_text", "updated", "revision"}

    def _free_slug(self, using: str) -> str:
        base = slugify(self.title, max_length=SLUG_LENGTH) or self._meta.model_name or "entry"
        rows = type(self)._default_manager.using(using)
        # The base is cut to make room for a number, so ask for slugs with a shorter beginning.
        taken = set(rows.filter(slug__startswith=base[: SLUG_LENGTH - 20]).values_list("slug", flat=True))
        return next(slug for slug in numbered(base, max_length=SLUG_LENGTH) if slug not in taken)


class Category(Entry):
    """A broad area of knowledge."""

    objects = EntryManager.from_queryset(EntryQuerySet)()

    class Meta:
        ordering = ["title_sort", "slug"]
        verbose_name_plural = "categories"
        indexes = [models.Index(fields=["title_sort", "slug"], name="learn_category_title")]


class Field(Entry):
    """A field of study within a category."""

    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="fields")

    objects = EntryManager.from_queryset(FieldQuerySet)()

    class Meta:
        ordering = ["title_sort", "slug"]
        indexes = [models.Index(fields=["title_sort", "slug"], name="learn_field_title")]

    def is_public(self) -> bool:
        """Tell whether the field and its category are published."""
        return self.published and self.category.is_public()


class Course(Entry):
    """A course in a field of study."""

    field = models.ForeignKey(Field, on_delete=models.PROTECT, related_name="courses")
    summary = models.TextField(null=True, blank=True, max_length=1_000)
    level = models.CharField(
        max_length=LEVEL_LENGTH, null=True, blank=True, help_text="In the source's own words."
    )
    language = BytewiseCharField(
        max_length=35,
        null=True,
        blank=True,
        validators=[validate_language],
        help_text="A language tag such as en or pt-br.",
    )
    duration_hours = models.DecimalField(
        max_digits=8, decimal_places=2, null=True, blank=True, validators=[NOT_NEGATIVE]
    )
    credits = models.DecimalField(
        max_digits=6, decimal_places=2, null=True, blank=True, validators=[NOT_NEGATIVE]
    )
    provider = models.CharField(max_length=200, null=True, blank=True)
    url = models.CharField("URL", max_length=500, null=True, blank=True, validators=[WEB_ADDRESS])
    terms = models.JSONField(
        default=list, blank=True, validators=[validate_terms], help_text='When it is given: ["2025-autumn"].'
    )
    # Filled by prepare().
    level_key = BytewiseCharField(max_length=LEVEL_LENGTH, null=True, editable=False)
    # See Note [What makes two rows the same course]
    identity = BytewiseCharField(max_length=32, unique=True, editable=False)

    objects = EntryManager.from_queryset(CourseQuerySet)()

    class Meta:
        ordering = ["title_sort", "slug"]
        indexes = [
            # They hold all columns of the filters, so that an index alone finds pages and counts rows.
            models.Index(
                fields=["title_sort", "slug", "published", "field", "level_key", "language"],
                name="learn_course_title",
            ),
            models.Index(
                fields=["field", "published", "title_sort", "slug", "level_key", "language"],
                name="learn_course_field",
            ),
            models.Index(fields=["level_key"], name="learn_course_level"),
            models.Index(fields=["language"], name="learn_course_language"),
        ]

    def is_public(self) -> bool:
        """Tell whether the course, its field and its category are published."""
        return self.published and self.field.is_public()

    def prepare(self) -> None:
        """Fill the derived columns; to be called before bulk_create() and bulk_update()."""
        super().prepare()
        self.language = self.language and self.language.lower()
        self.identity = kept(self.identity, self._identity(), new=self._state.adding)

    def clean(self) -> None:
        """Raise ValidationError, which names the other row, if the course has a row already."""
        super().clean()
        if self.field_id is None:
            return
        identity = self._identity()
        if kept(self.identity, identity, new=False) != identity:
            return
        twin = Course.objects.filter(identity=identity).exclude(pk=self.pk).first()
        if twin is not None:
            name = "code" if self.code else "title"
            raise ValidationError({name: f"This course is there already: {twin.slug}."})

    def _identity(self) -> str:
        return identity_of(field_id=self.field_id, title=self.title, provider=self.provider, code=self.code)

    @classmethod
    def _kept_columns(cls) -> set[str]:
        return {*super()._kept_columns(), "level_key", "identity"}


@receiver(pre_save)
def _prepare(sender: type[models.Model], instance: models.Model, **_: object) -> None:
    # This is a signal because loaddata stores rows without calling save().
    if isinstance(instance, Entry):
        instance.prepare()
