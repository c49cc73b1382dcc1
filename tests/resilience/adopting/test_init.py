"""`python -m resilience init` adds what a project lacks, says the rest, and has then nothing to add."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.resilience.adopting.projects import KINDS, ProjectFolder
from tests.servers import RedisServer


@pytest.mark.parametrize("kind", KINDS)
class TestInEachKindOfProject:
    def test_what_is_written_makes_it_a_guarded_site(
        self, kind: str, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        redis: RedisServer | None = request.getfixturevalue("redis_server") if kind == "sessions" else None
        project = ProjectFolder(tmp_path / "shop", kind, redis="" if redis is None else redis.url)
        written = project.init("--write")
        assert (written.returncode, written.stderr) == (0, "")
        assert "By hand" not in written.stdout
        found = project.asked()
        assert "no issues" in found["check"]
        assert (found["role"], found["well"][0], found["after"][0]) == ("server", 200, 200)
        status, headers = found["isolated"]["/read"]
        assert (status, headers["X-Circuit-Breaker-DB"], headers["Retry-After"].isdecimal()) == (
            503,
            "OPEN",
            True,
        )
        answers = {path: one[0] for path, one in found["isolated"].items() if path != "/read"}
        assert answers == {"/api/health": 200, "/api/health/live": 200, "/nowhere": 404}
        assert found["board"] == 200  # with DEBUG for everybody at this machine
        assert "Nothing to add" in project.init().stdout


class TestWhatIsPrinted:
    @pytest.fixture
    def project(self, tmp_path: Path) -> ProjectFolder:
        return ProjectFolder(tmp_path / "shop")

    def test_is_each_line_with_its_reason_in_the_order_of_the_files(self, project: ProjectFolder) -> None:
        before = project.code()
        told = project.init().stdout
        places = [
            "shop/settings.py",
            "INSTALLED_APPS",
            "MIDDLEWARE",
            "DATABASES",
            "RESILIENCE",
            "shop/urls.py",
        ]
        assert [told.index(place) for place in places] == sorted(told.index(place) for place in places)
        assert told.count("why: ") == len(re.findall(r"^  \S.*:$", told, re.MULTILINE))
        assert 'RESILIENCE = {"NAMESPACE": "shop"}' in told
        assert project.code() == before

    def test_lines_that_are_pasted_are_all_that_it_needs(self, project: ProjectFolder) -> None:
        """Those of the settings, at their end."""
        project.add(
            'INSTALLED_APPS += ["resilience"]\n'
            'MIDDLEWARE.insert(0, "resilience.middleware.ResilienceMiddleware")\n'
            'DATABASES["default"]["ENGINE"] = "resilience.db.sqlite3"\n'
            'RESILIENCE = {"NAMESPACE": "shop"}\n'
        )
        assert "settings.py" not in project.init().stdout

    def test_loses_no_comment_and_shows_each_change(self, project: ProjectFolder) -> None:
        project.change("MIDDLEWARE = [", "MIDDLEWARE = [  # in this order\n    # hosts and TLS come first")
        project.change(
            "    'django.contrib.staticfiles',\n]",
            "    'django.contrib.staticfiles'  # no comma\n    # the end\n]",
        )
        before = project.settings.read_text().splitlines()
        told = project.init("--write").stdout
        after = project.settings.read_text()
        changed = ("ENGINE", "no comma")
        kept = [line for line in before if line and not any(part in line for part in changed)]
        assert [line for line in after.splitlines() if line in kept] == kept
        assert "'django.contrib.staticfiles',  # no comma\n    # the end\n    'resilience',\n]" in after
        assert (
            "[  # in this order\n    'resilience.middleware.ResilienceMiddleware',\n    # hosts and TLS"
            in after
        )
        assert "+    'resilience'," in told


class TestWhereALineCannotBeWritten:
    """It is said which, and why; what can be written is."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> ProjectFolder:
        return ProjectFolder(tmp_path / "shop")

    def by_hand(self, project: ProjectFolder) -> str:
        told = project.init("--write").stdout.partition("By hand:\n")[2]
        assert "INSTALLED_APPS" not in told
        return told

    def test_because_the_database_is_computed(self, project: ProjectFolder) -> None:
        project.change("DATABASES = {", "def database(**options):\n    return options\n\n\nOLD = {")
        project.add("DATABASES = {'default': database(ENGINE='django.db.backends.sqlite3', NAME='db')}\n")
        told = self.by_hand(project)
        assert 'DATABASES["default"]["ENGINE"] = "resilience.db.sqlite3"' in told
        assert "DATABASES['default'] is computed, or has no 'ENGINE'" in told
        project.add('DATABASES["default"]["ENGINE"] = "resilience.db.sqlite3"\n')
        assert "Nothing to add" in project.init().stdout

    def test_because_the_middleware_is_put_together(self, project: ProjectFolder) -> None:
        project.add("MIDDLEWARE = ['django.middleware.gzip.GZipMiddleware'] + MIDDLEWARE\n")
        told = self.by_hand(project)
        assert "by hand: MIDDLEWARE is set under a condition, or more than once (line" in told
        line = 'MIDDLEWARE = ["resilience.middleware.ResilienceMiddleware", *MIDDLEWARE]'
        assert f"MIDDLEWARE, as its first, so at the end of the file:\n      {line}\n" in told
        project.add(f"{line}\n")
        assert "Nothing to add" in project.init().stdout

    def test_because_something_else_goes_first(self, project: ProjectFolder) -> None:
        project.add("MIDDLEWARE.insert(0, 'django.middleware.gzip.GZipMiddleware')\n")
        assert "something is put before the first of MIDDLEWARE" in self.by_hand(project)

    def test_but_a_list_that_is_added_to_is_no_hindrance(self, project: ProjectFolder) -> None:
        project.add("MIDDLEWARE += ['django.middleware.gzip.GZipMiddleware']\nINSTALLED_APPS += ['shop']\n")
        assert self.by_hand(project) == ""
        assert "Nothing to add" in project.init().stdout


class TestSettingsOfOtherShapes:
    def test_of_lists_that_are_added_up_the_right_one_gets_the_line(self, tmp_path: Path) -> None:
        project = ProjectFolder(tmp_path / "shop")
        project.change("INSTALLED_APPS = [", "OWN_APPS = []\nDJANGO_APPS = [")
        project.change("MIDDLEWARE = [", "INSTALLED_APPS = DJANGO_APPS + OWN_APPS\n\nMIDDLEWARE = [")
        urls = project.settings.with_name("urls.py")
        text = urls.read_text().replace("urlpatterns = [\n    path('read'", "urlpatterns = [\n\tpath('read'")
        urls.write_text(text.rstrip() + " + [path('more', views.read)]\n")
        assert "By hand" not in project.init("--write").stdout
        assert "OWN_APPS = ['resilience']" in project.settings.read_text()
        assert "urlpatterns = [\n\tpath('admin/resilience/board/'" in urls.read_text()
        assert "Nothing to add" in project.init().stdout

    def test_that_manage_py_sets_otherwise_are_found_too(self, tmp_path: Path) -> None:
        project = ProjectFolder(tmp_path / "shop")
        manage, name = project.folder / "manage.py", "'DJANGO_SETTINGS_MODULE'"
        text = manage.read_text().replace(f"os.environ.setdefault({name}, ", f"os.environ[{name}] = (")
        manage.write_text(text)
        assert "os.environ[" in text
        assert "INSTALLED_APPS" in project.init().stdout

    def test_without_base_dir_it_gets_one(self, tmp_path: Path) -> None:
        project = ProjectFolder(tmp_path / "shop")
        project.settings.write_text(project.settings.read_text().replace("BASE_DIR", "HERE"))
        assert "By hand" not in project.init("--write").stdout
        assert project.settings.read_text().endswith(
            "\nfrom pathlib import Path\n\nBASE_DIR = Path(__file__).resolve().parent.parent\n"
            "RESILIENCE = {'NAMESPACE': 'shop'}\n"
        )
        assert "Nothing to add" in project.init().stdout

    def test_ends_of_lines_stay_as_they_are(self, tmp_path: Path) -> None:
        project = ProjectFolder(tmp_path / "shop")
        project.settings.write_bytes(project.settings.read_bytes().replace(b"\n", b"\r\n"))
        project.init("--write")
        content = project.settings.read_bytes()
        assert b"'resilience',\r\n" in content
        assert content.count(b"\n") == content.count(b"\r\n")


class TestSettingsInSeveralFiles:
    """A package, with settings for development that manage.py names and for production over one base."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> ProjectFolder:
        project = ProjectFolder(tmp_path / "shop")
        folder = project.settings.with_suffix("")
        folder.mkdir()
        text = project.settings.read_text().replace(".parent.parent", ".parent.parent.parent")
        project.settings.unlink()
        (folder / "__init__.py").write_text("")
        project.settings = folder / "base.py"
        project.settings.write_text(text)
        (folder / "dev.py").write_text("from .base import *\n")
        (folder / "production.py").write_text("from .base import *\n\nDEBUG = False\n")
        for path, name in (
            (project.folder / "manage.py", "dev"),
            *((folder.parent / entry, "production") for entry in ("wsgi.py", "asgi.py")),
        ):
            path.write_text(path.read_text().replace("shop.settings", f"shop.settings.{name}"))
        return project

    def test_written_for_one_leave_the_other_working(self, project: ProjectFolder) -> None:
        told = project.init("--write").stdout
        assert "By hand" not in told
        assert "RESILIENCE = {'NAMESPACE': 'shop'}" in project.settings.read_text()
        again = "run it again with DJANGO_SETTINGS_MODULE=shop.settings.production."
        assert told.count(again) == 2
        assert "Note: production.py beside these settings: not looked at" in told
        for name in ("dev", "production"):
            found = project.asked(DJANGO_SETTINGS_MODULE=f"shop.settings.{name}")
            assert [found[when][0] for when in ("well", "after")] == [200, 200]
            assert found["isolated"]["/read"][0] == 503
        assert "Nothing to add" in project.init().stdout

    def test_that_set_a_list_twice_are_left_as_they_are(self, project: ProjectFolder) -> None:
        dev = project.settings.with_name("dev.py")
        dev.write_text(
            "from .base import *\n\nINSTALLED_APPS = [*INSTALLED_APPS, 'shop']\n"
            "MIDDLEWARE = ['django.middleware.gzip.GZipMiddleware'] + MIDDLEWARE\n"
        )
        for _ in range(2):
            by_hand = project.init("--write").stdout.partition("By hand:\n")[2]
            assert "INSTALLED_APPS is set in more than one file: base.py, dev.py" in by_hand
            assert "MIDDLEWARE is set in more than one file: base.py, dev.py" in by_hand
        assert "'resilience'" not in project.settings.read_text()
        dev.write_text(
            dev.read_text() + "INSTALLED_APPS = [*INSTALLED_APPS, 'resilience']\n"
            "MIDDLEWARE = ['resilience.middleware.ResilienceMiddleware', *MIDDLEWARE]\n"
        )
        assert "Nothing to add" in project.init().stdout

    def test_of_which_a_later_one_puts_something_first_are_told_so(self, project: ProjectFolder) -> None:
        project.settings.with_name("dev.py").write_text(
            "from .base import *\n\nMIDDLEWARE.insert(0, 'django.middleware.gzip.GZipMiddleware')\n"
        )
        assert "something is put before the first of MIDDLEWARE" in project.init("--write").stdout
        assert "resilience.middleware" not in project.settings.read_text()

    def test_that_drop_the_app_again_do_not_get_it_twice(self, project: ProjectFolder) -> None:
        project.change("INSTALLED_APPS = [", "INSTALLED_APPS = [\n    'resilience',")
        project.settings.with_name("dev.py").write_text(
            "from .base import *\n\nINSTALLED_APPS.remove('resilience')\n"
        )
        assert "but not in force" in project.init("--write").stdout
        assert project.settings.read_text().count("'resilience'") == 1


class TestAddressesOfTheProjectsOwn:
    @pytest.fixture
    def project(self, tmp_path: Path) -> ProjectFolder:
        return ProjectFolder(tmp_path / "shop")

    def answers(self, project: ProjectFolder, pattern: str) -> None:
        urls = project.settings.with_name("urls.py")
        urls.write_text(urls.read_text() + f"urlpatterns += [{pattern}]\n")

    def test_of_health_are_not_taken_over(self, project: ProjectFolder) -> None:
        self.answers(project, "path('api/health/', views.read)")
        by_hand = project.init("--write").stdout.partition("By hand:\n")[2]
        assert "the project answers /api/health itself" in by_hand
        code = project.code()
        assert "resilience.urls" not in code["urls.py"]
        assert "resilience.middleware" in code["settings.py"]

    def test_of_liveness_are_not_taken_over(self, project: ProjectFolder) -> None:
        self.answers(project, "path('api/health/live', views.read)")
        by_hand = project.init("--write").stdout.partition("By hand:\n")[2]
        assert "the project answers /api/health/live itself" in by_hand
        assert "resilience.middleware" not in project.code()["settings.py"]

    def test_that_take_whatever_is_left_are_no_hindrance(self, project: ProjectFolder) -> None:
        self.answers(project, "path('<path:rest>', views.read)")
        assert "By hand" not in project.init("--write").stdout

    def test_that_cannot_be_told_are_left_alone(self, project: ProjectFolder) -> None:
        self.answers(project, "path('more', views.missing)")
        assert "its addresses cannot be told: AttributeError" in project.init("--write").stdout
        assert "resilience.urls" not in project.code()["urls.py"]


class TestWithoutAProject:
    def test_says_that_there_is_none(self, tmp_path: Path) -> None:
        project = ProjectFolder(tmp_path / "shop")
        (project.folder / "manage.py").unlink()
        told = project.init()
        assert (told.returncode, told.stdout) == (2, "")
        assert "There is no manage.py here" in told.stderr

    def test_says_why_its_settings_cannot_be_imported(self, tmp_path: Path) -> None:
        project = ProjectFolder(tmp_path / "shop")
        project.add("import not_installed\n")
        told = project.init()
        assert (told.returncode, told.stderr.count("\n")) == (2, 1)
        assert (
            "shop.settings cannot be imported: ModuleNotFoundError: No module named 'not_installed'"
            in told.stderr
        )
