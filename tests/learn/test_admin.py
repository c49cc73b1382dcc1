"""What staff see of the catalogue, drafts and all."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from learn.models import Category, Course, Field

pytestmark = pytest.mark.django_db


def signed_in_admin() -> Client:
    client = Client()
    client.force_login(User.objects.create(username="admin", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def admin() -> Client:
    return signed_in_admin()


def course_form(**changes: object) -> dict[str, object]:
    field = Field.objects.get()
    return {"title": "Graphs", "field": field.pk, "published": "on", "terms": "", **changes}


class TestLists:
    @pytest.mark.parametrize("model", ["category", "field", "course"])
    def test_take_the_same_queries_for_one_row_and_for_many(
        self, admin: Client, course: Course, model: str
    ) -> None:
        def queries() -> int:
            with CaptureQueriesContext(connection) as context:
                assert admin.get(f"/admin/learn/{model}/").status_code == 200
            return len(context)

        queries()
        few = queries()
        for number in range(12):
            category = Category.objects.create(title=f"Category {number}")
            field = Field.objects.create(title=f"Field {number}", category=category)
            Course.objects.create(title=f"Course {number}", field=field)
        assert queries() == few

    def test_count_what_belongs_to_a_row(self, admin: Client, course: Course) -> None:
        second = Field.objects.create(title="Networks", category=course.field.category)
        Course.objects.create(title="Routing", field=second)
        Course.objects.create(title="Switching", field=second)
        page = admin.get("/admin/learn/category/").content.decode()
        key = course.field.category_id
        assert f'<a href="/admin/learn/field/?category__id__exact={key}">2</a>' in page
        assert f'<a href="/admin/learn/course/?field__category__id__exact={key}">3</a>' in page
        assert admin.get(f"/admin/learn/course/?field__category__id__exact={key}").status_code == 200

    @pytest.mark.parametrize(
        ("query", "found"), [("compilers+TEXT", True), ("cs-301", True), ("nope", False), ("%25", False)]
    )
    def test_search_as_the_api_does(self, admin: Client, course: Course, query: str, found: bool) -> None:
        page = admin.get(f"/admin/learn/course/?q={query}").content.decode()
        assert ("Compilers</a>" in page) is found

    def test_filter(self, admin: Client, course: Course) -> None:
        assert "Compilers</a>" in admin.get("/admin/learn/course/?published__exact=1").content.decode()
        assert "Compilers</a>" not in admin.get("/admin/learn/course/?published__exact=0").content.decode()
        assert "Compilers</a>" in admin.get("/admin/learn/course/?level=Advanced").content.decode()

    def test_link_to_the_public_answer_of_what_is_public(self, admin: Client, course: Course) -> None:
        link = '<a href="/api/courses/compilers">JSON</a>'
        assert link in admin.get("/admin/learn/course/").content.decode()
        Category.objects.all().unpublish()
        assert link not in admin.get("/admin/learn/course/").content.decode()

    def test_complete_a_parent_while_it_is_typed(self, admin: Client, course: Course) -> None:
        query = {"term": "progr", "app_label": "learn", "model_name": "course", "field_name": "field"}
        body = admin.get("/admin/autocomplete/", query).json()
        assert [result["text"] for result in body["results"]] == ["Programming"]


class TestActions:
    def act(self, client: Client, action: str, *courses: Course) -> None:
        data = {"action": action, "_selected_action": [course.pk for course in courses]}
        assert client.post("/admin/learn/course/", data).status_code == 302

    def test_unpublish_and_publish_the_selected_rows(
        self, admin: Client, course: Course, field: Field
    ) -> None:
        other = Course.objects.create(title="Other", field=field)
        self.act(admin, "unpublish", course)
        course.refresh_from_db()
        other.refresh_from_db()
        assert (course.published, course.revision) == (False, 2)
        assert (other.published, other.revision) == (True, 1)
        assert [entry.object_repr for entry in LogEntry.objects.all()] == ["Compilers"]
        self.act(admin, "publish", course, other)
        other.refresh_from_db()
        assert Course.objects.public().count() == 2
        assert other.revision == 1

    @pytest.mark.parametrize("model", [Category, Field, Course])
    def test_work_for_each_list_on_each_database(
        self, on_both_databases: str, model: type[Category | Field | Course]
    ) -> None:
        client, rows = signed_in_admin(), model._default_manager
        category = Category.objects.create(title="Information Technology")
        Course.objects.create(
            title="Compilers", field=Field.objects.create(title="Programming", category=category)
        )
        address = f"/admin/learn/{model._meta.model_name}/"
        for action, published in (("unpublish", False), ("publish", True)):
            data = {"action": action, "_selected_action": [rows.get().pk]}
            assert client.post(address, data).status_code == 302
            assert rows.get().published is published

    def test_are_all_or_nothing(self, admin: Client, course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("the log cannot be written")

        monkeypatch.setattr("learn.admin.LogEntry.objects.log_actions", broken)
        with pytest.raises(RuntimeError):
            self.act(admin, "unpublish", course)
        course.refresh_from_db()
        assert course.published

    def test_a_deletion_that_fails_is_not_in_the_log(
        self, admin: Client, course: Course, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("the database went away")

        monkeypatch.setattr("learn.admin.CourseAdmin.delete_queryset", broken)
        data = {"action": "delete_selected", "_selected_action": [course.pk], "post": "yes"}
        with pytest.raises(RuntimeError):
            admin.post("/admin/learn/course/", data)
        assert not LogEntry.objects.exists()

    def test_need_the_permission_to_change(self, course: Course) -> None:
        viewer = User.objects.create(username="viewer", is_staff=True)
        viewer.user_permissions.add(Permission.objects.get(codename="view_course"))
        client = Client()
        client.force_login(viewer)
        client.post("/admin/learn/course/", {"action": "unpublish", "_selected_action": [course.pk]})
        course.refresh_from_db()
        assert course.published


class TestForms:
    def test_add_a_course_and_make_its_slug(self, admin: Client, field: Field) -> None:
        data = course_form(terms="2025-autumn\n\n 2026-spring ")
        assert admin.post("/admin/learn/course/add/", data).status_code == 302
        course = Course.objects.get()
        assert (course.slug, course.terms, course.summary, course.level) == (
            "graphs",
            ["2025-autumn", "2026-spring"],
            None,
            None,
        )

    def test_keep_the_slug_of_a_course(self, admin: Client, course: Course) -> None:
        page = admin.get(f"/admin/learn/course/{course.pk}/change/").content.decode()
        assert 'name="slug"' not in page
        assert 'href="/api/courses/compilers"' in page
        data = course_form(title="Compiler Construction", slug="other")
        assert admin.post(f"/admin/learn/course/{course.pk}/change/", data).status_code == 302
        course.refresh_from_db()
        assert (course.slug, course.title, course.revision) == ("compilers", "Compiler Construction", 2)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"code": "CS-301", "provider": "example college"}, "This course is there already: compilers."),
            ({"credits": "-1"}, "greater than or equal to 0"),
            ({"language": "english!"}, "Give a language tag"),
            ({"url": "javascript:alert(1)"}, "Enter a valid URL"),
            ({"terms": "x" * 51}, "Each term is a text of 1 to 50 characters."),
            ({"title": "a\0b"}, "Null characters are not allowed"),
            ({"slug": "A B"}, "Use lower-case letters"),
        ],
    )
    def test_refuse_what_is_wrong(
        self, admin: Client, course: Course, changes: dict[str, str], message: str
    ) -> None:
        response = admin.post("/admin/learn/course/add/", course_form(**changes))
        assert response.status_code == 200
        assert message in response.content.decode()
        assert Course.objects.count() == 1

    def test_delete_no_parent_under_its_children(self, admin: Client, course: Course) -> None:
        admin.post(f"/admin/learn/field/{course.field_id}/delete/", {"post": "yes"})
        assert Field.objects.exists()
