"""What the HTTP interface shows of the catalogue, and what it accepts.

Rows are read as plain tuples and shown without a model instance or a field object for each. Serializers check
what is written, and describe reads and writes in the schema.
"""

import copy
import unicodedata
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from learn.models import Category, Course, Field
from learn.validators import SLUG_LENGTH, TERM_LENGTH, TERMS
from resilience.answers.members import StrictMembers

_ENTRY = ("slug", "code", "title", "description")
_STATE = ("published", "created", "updated", "revision")


class EntrySerializer(StrictMembers, serializers.ModelSerializer[Any]):
    """Show a row, given as a tuple of `columns()`; check and store the members of a written entry."""

    elsewhere = {
        **StrictMembers.elsewhere,
        "slug": "It is the entry's address and never changes.",
        "created": "The site sets it.",
        "updated": "The site sets it.",
        "revision": "The site sets it; use If-Match to say which one is to be changed.",
    }

    # The ORM's paths of members that are columns of a parent.
    paths: ClassVar[dict[str, str]] = {}

    @classmethod
    def columns(cls) -> list[str]:
        """Return the ORM's names of a row's columns, in the order of the members."""
        return [cls.paths.get(name, name) for name in cls.Meta.fields]

    def to_representation(self, instance: tuple[Any, ...]) -> dict[str, Any]:
        """Return the answer's members for one row."""
        return dict(zip(self.Meta.fields, instance, strict=True))

    def build_standard_field(self, field_name: str, model_field: Any) -> Any:
        """Let PUT set members that it leaves out to null, as it replaces the entry. (PATCH ignores this.)"""
        kind, options = super().build_standard_field(field_name, model_field)
        if model_field.null:
            options.pop("required", None)
            options["default"] = None
        if issubclass(kind, serializers.DecimalField):
            options["coerce_to_string"] = False
        return kind, options

    def present(self) -> dict[str, Any]:
        """Return the members of the stored row, as an answer shows them."""
        entry: Any = self.instance
        rows = type(entry)._base_manager.using(entry._state.db)
        return self.to_representation(rows.values_list(*self.columns()).get(pk=entry.pk))

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        """Store the members. If they change nothing, store nothing, so that revision and ETag stay."""
        columns = [field.attname for field in instance._meta.concrete_fields if field.editable]
        before = [getattr(instance, name) for name in columns]
        for name, value in validated_data.items():
            setattr(instance, name, value)
        instance.prepare()
        if [getattr(instance, name) for name in columns] != before:
            instance.save()
        return instance

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check the members together, by the model's `clean()`, like the admin."""
        model: type[Any] = self.Meta.model
        entry = copy.copy(self.instance) or model()
        for name, value in attrs.items():
            setattr(entry, name, value)
        entry.clean()
        return attrs


@extend_schema_field({"type": "string", "maxLength": SLUG_LENGTH})
class ParentField(serializers.SlugRelatedField[Any]):
    """Name a parent, which may be a draft, by its slug."""

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="slug", **options)

    def to_internal_value(self, data: Any) -> Any:
        """Return the parent. Refuse a slug that no database could hold without asking one."""
        if not isinstance(data, str) or len(data) > SLUG_LENGTH or "\0" in data:
            self.fail("invalid")
        return super().to_internal_value(unicodedata.normalize("NFC", data))


class CategorySerializer(EntrySerializer):
    """A category."""

    class Meta:
        model = Category
        fields = (*_ENTRY, *_STATE)
        read_only_fields = ("slug",)


class FieldSerializer(EntrySerializer):
    """A field of study."""

    category = ParentField(queryset=Category.objects.all(), help_text="Slug of its category.")
    category_title = serializers.CharField(read_only=True)

    paths = {"category": "category__slug", "category_title": "category__title"}
    elsewhere = {
        **EntrySerializer.elsewhere,
        "category_title": "It is the category's: change it at /api/categories/{slug}.",
    }

    class Meta:
        model = Field
        fields = (*_ENTRY, "category", "category_title", *_STATE)
        read_only_fields = ("slug",)


class CourseSerializer(EntrySerializer):
    """A course. A member that is unknown is null."""

    field = ParentField(queryset=Field.objects.all(), help_text="Slug of its field.")
    field_title = serializers.CharField(read_only=True)
    category = serializers.CharField(read_only=True, help_text="Slug of the field's category.")
    category_title = serializers.CharField(read_only=True)
    terms = serializers.ListField(
        child=serializers.CharField(max_length=TERM_LENGTH),
        max_length=TERMS,
        default=list,
        help_text="When it is given.",
    )

    paths = {
        "field": "field__slug",
        "field_title": "field__title",
        "category": "field__category__slug",
        "category_title": "field__category__title",
    }
    elsewhere = {
        **EntrySerializer.elsewhere,
        "field_title": "It is the field's: change it at /api/fields/{slug}.",
        "category": "It is the field's: change it at /api/fields/{slug}.",
        "category_title": "It is the category's: change it at /api/categories/{slug}.",
    }

    class Meta:
        model = Course
        fields = (
            "slug",
            "code",
            "title",
            "summary",
            "description",
            "field",
            "field_title",
            "category",
            "category_title",
            "level",
            "language",
            "duration_hours",
            "credits",
            "provider",
            "url",
            "terms",
            *_STATE,
        )
        read_only_fields = ("slug",)
