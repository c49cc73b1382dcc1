"""The catalogue in the admin, drafts too."""

from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.widgets import AdminTextInputWidget
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from learn.models import Category, Course, Entry, Field
from learn.normalise import normalise
from learn.rows import EntryQuerySet
from resilience.answers.admin_actions import AtomicActions


class TermsField(forms.CharField):
    """Edit a list of terms as text, one term a line."""

    widget = forms.Textarea(attrs={"rows": 4})

    def prepare_value(self, value: Any) -> Any:
        """Return the terms as lines."""
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Return the terms that the lines hold."""
        return [line.strip() for line in (value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare terms, not lines."""
        return bool(self.to_python(data) != (initial or []))


class CourseForm(forms.ModelForm):  # type: ignore[type-arg]
    """The form of a course, with one term a line."""

    terms = TermsField(required=False, help_text="When it is given, one term a line.")


class EntryAdmin(AtomicActions, admin.ModelAdmin):  # type: ignore[type-arg]
    """What categories, fields and courses share in the admin."""

    list_per_page = 50
    # The same as the models' own, which Django drops from a query with counts (`annotate`).
    ordering = ["title_sort", "slug"]
    show_full_result_count = False
    actions = ["publish", "unpublish"]
    # Django shows a search box only if this is set; get_search_results() does the search.
    search_fields = ["search_text"]

    class Media:
        css: ClassVar = {"all": ["resilience/links.css"]}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Let a slug be chosen only for a new entry, since it is the entry's address."""
        return ["revision", "created", "updated", *(["slug"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: Entry, form: Any, change: bool) -> None:
        """Store a changed form. An unchanged one is not stored, so that revision and ETag stay the same."""
        if form.changed_data or not change:
            super().save_model(request, obj, form, change)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Give title and URL a wide input."""
        if db_field.name in ("title", "url"):
            options["widget"] = AdminTextInputWidget(attrs={"class": "vLargeTextField"})
        return super().formfield_for_dbfield(db_field, request, **options)

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        """Search as the HTTP interface does."""
        for word in dict.fromkeys(normalise(search_term).split()):
            queryset = queryset.filter(search_text__has=word)
        return queryset, False

    def view_on_site(self, obj: Entry) -> str | None:
        """Return the address of the entry's public answer; None for a draft."""
        return self._address(obj) if obj.is_public() else None

    @admin.display(description="public answer")
    def public_answer(self, obj: Entry) -> str | None:
        """Link to the entry's public answer."""
        address = self.view_on_site(obj)
        return format_html('<a href="{}">JSON</a>', address) if address else None

    @admin.action(description="Publish the selected %(verbose_name_plural)s", permissions=["change"])
    def publish(self, request: HttpRequest, queryset: EntryQuerySet) -> None:
        """Publish the entries: everybody sees them."""
        self._set_published(request, queryset, True)

    @admin.action(description="Unpublish the selected %(verbose_name_plural)s", permissions=["change"])
    def unpublish(self, request: HttpRequest, queryset: EntryQuerySet) -> None:
        """Turn the entries into drafts."""
        self._set_published(request, queryset, False)

    def _set_published(self, request: HttpRequest, queryset: EntryQuerySet, published: bool) -> None:
        word = "published" if published else "unpublished"
        # Read and lock the rows, since the log has to name exactly those that change. The list's query has
        # counts, and PostgreSQL locks no grouped rows, so it only selects them.
        chosen = self.model._default_manager.filter(pk__in=queryset.order_by().values("pk"))
        entries = list(chosen.filter(published=not published).select_for_update())
        rows = self.model._default_manager.filter(pk__in=[entry.pk for entry in entries])
        changed = rows.publish() if published else rows.unpublish()
        editor = cast("int", request.user.pk)  # the admin requires a user
        LogEntry.objects.log_actions(editor, entries, CHANGE, change_message=word.capitalize() + ".")
        self.message_user(request, f"{changed} {self.opts.verbose_name_plural} {word}.")

    def _address(self, obj: Entry) -> str:
        return reverse(f"{self.opts.model_name}-detail", kwargs={"slug": obj.slug})


@admin.register(Category)
class CategoryAdmin(EntryAdmin):
    """Categories, with the numbers of their fields and courses."""

    list_display = ["title", "code", "field_count", "course_count", "published", "public_answer"]
    list_filter = ["published"]
    fields = ["title", "slug", "code", "description", "published", "revision", "created", "updated"]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Count fields and courses in the same query."""
        rows: models.QuerySet[Any] = (
            super()
            .get_queryset(request)
            .annotate(
                field_total=models.Count("fields", distinct=True),
                course_total=models.Count("fields__courses", distinct=True),
            )
        )
        return rows

    @admin.display(description="fields", ordering="field_total")
    def field_count(self, obj: Any) -> str:
        """Link to its fields."""
        return _list_link("field", "category__id__exact", obj.pk, obj.field_total)

    @admin.display(description="courses", ordering="course_total")
    def course_count(self, obj: Any) -> str:
        """Link to its courses."""
        return _list_link("course", "field__category__id__exact", obj.pk, obj.course_total)


@admin.register(Field)
class FieldAdmin(EntryAdmin):
    """Fields of study, with the number of their courses."""

    list_display = ["title", "code", "category", "course_count", "published", "public_answer"]
    list_filter = ["published", "category"]
    list_select_related = ["category"]
    autocomplete_fields = ["category"]
    fields = [
        "title",
        "slug",
        "code",
        "category",
        "description",
        "published",
        "revision",
        "created",
        "updated",
    ]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Count courses in the same query."""
        rows: models.QuerySet[Any] = (
            super().get_queryset(request).annotate(course_total=models.Count("courses"))
        )
        return rows

    @admin.display(description="courses", ordering="course_total")
    def course_count(self, obj: Any) -> str:
        """Link to its courses."""
        return _list_link("course", "field__id__exact", obj.pk, obj.course_total)


@admin.register(Course)
class CourseAdmin(EntryAdmin):
    """Courses."""

    form = CourseForm
    list_display = ["title", "field", "level", "credits", "published", "public_answer"]
    list_filter = ["published", "field__category", "level", "language"]
    list_select_related = ["field__category"]
    autocomplete_fields = ["field"]
    fieldsets = [
        (None, {"fields": ["title", "slug", "field", "published"]}),
        ("What it is", {"fields": ["summary", "description", "level", "language"]}),
        ("What it takes", {"fields": ["duration_hours", "credits", "terms"]}),
        ("Where it is from", {"fields": ["provider", "code", "url"]}),
        ("History", {"fields": ["revision", "created", "updated"]}),
    ]


def _list_link(model: str, filtered_by: str, key: int, count: int) -> str:
    address = reverse(f"admin:learn_{model}_changelist", query={filtered_by: key})
    return format_html('<a href="{}">{}</a>', address, count)
