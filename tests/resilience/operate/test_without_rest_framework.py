"""The operators' doors in a project without Django REST framework, in an interpreter that has none."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "0123456789abcdef" * 2

_SITE = """
import importlib, json, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("rest_framework", "drf_spectacular"):
            raise ModuleNotFoundError(f"blocked: {name}", name=name)

sys.meta_path.insert(0, Blocked())

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["testserver"],
    BASE_DIR=sys.argv[1],
    DATABASES={
        "default": {"ENGINE": "resilience.db.sqlite3", "NAME": ":memory:"},
        "static": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    },
    INSTALLED_APPS=["resilience", "django.contrib.auth", "django.contrib.contenttypes"],
    MIDDLEWARE=["resilience.middleware.ResilienceMiddleware", "resilience.problems.ProblemMiddleware"],
    OPS_TOKEN=sys.argv[2],
    RESILIENCE={"NAMESPACE": "plain", "DIR": sys.argv[1] + "/store"},
    ROOT_URLCONF="urls",
    SECRET_KEY="x" * 50,
)
django.setup()
from django.urls import include, path

urls = type(sys)("urls")
urls.urlpatterns = [
    path("api/", include("resilience.urls")),
    path("board/", include("resilience.operate.board.urls")),
]
sys.modules["urls"] = urls

from resilience import conf

for chore in conf.chores():
    chore.load()
for room in ("resilience.operate", "resilience.observe", "resilience.problems", "resilience.middleware"):
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), room + "."):
        importlib.import_module(module.name)

from django.test import Client

client = Client()
known = {"authorization": f"Bearer {sys.argv[2]}"}
said = {}
for name, method, address, headers in (
    ("health", "GET", "/api/health", {}),
    ("live", "GET", "/api/health/live", {}),
    ("nobody", "GET", "/api/admin/circuit-breakers", {}),
    ("a bad token", "POST", "/api/admin/reset-circuit-breakers", {"authorization": "Bearer wrong"}),
    ("breakers", "GET", "/api/admin/circuit-breakers", known),
    ("reset", "POST", "/api/admin/reset-circuit-breakers", known),
):
    response = client.generic(method, address, headers=headers)
    said[name] = [response.status_code, response["Content-Type"], response.get("WWW-Authenticate", "")]
said["loaded"] = [name for name in sys.modules if name.startswith(("rest_framework", "drf_spectacular"))]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-c", _SITE, tmp_path_factory.mktemp("plain"), TOKEN],
        cwd=ROOT,
        env=os.environ | {"RESILIENCE_ROLE": "server"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


class TestWithoutRestFramework:
    def test_the_doors_and_what_they_stand_on_are_imported(self, said: dict[str, Any]) -> None:
        assert said["loaded"] == []

    def test_health_and_liveness_answer_everybody(self, said: dict[str, Any]) -> None:
        assert [said[name][:2] for name in ("health", "live")] == [[200, "application/json"]] * 2

    @pytest.mark.parametrize("who", ["nobody", "a bad token"])
    def test_nobody_steers_without_the_token(self, said: dict[str, Any], who: str) -> None:
        assert said[who] == [401, "application/problem+json", 'Bearer realm="operators"']

    @pytest.mark.parametrize("what", ["breakers", "reset"])
    def test_the_token_steers(self, said: dict[str, Any], what: str) -> None:
        assert said[what][:2] == [200, "application/json"]
