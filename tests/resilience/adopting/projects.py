"""Projects of other people, as `startproject` begins them, and what is asked of them in an outage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.core.management import call_command

from tests.servers.process import ServerProcess

ROOT = Path(__file__).parents[3]
NAME = "shop"

# A view that asks the database, in each kind of project.
_VIEWS = {
    "plain": """
from django.contrib.auth.models import User
from django.http import HttpResponse

def read(request):
    return HttpResponse(f"{User.objects.count()} accounts")
""",
    "templates": """
from django.contrib.auth.models import User
from django.shortcuts import render

def read(request):
    return render(request, "read.html", {"accounts": User.objects.all()})
""",
    "drf": """
from django.contrib.auth.models import User
from rest_framework.decorators import api_view
from rest_framework.response import Response

@api_view()
def read(request):
    return Response({"accounts": User.objects.count()})
""",
    "two": """
from django.contrib.auth.models import User
from django.http import HttpResponse

def read(request):
    return HttpResponse(f"{User.objects.count() + User.objects.using('reports').count()} accounts")
""",
    "sessions": """
from django.contrib.auth.models import User
from django.http import HttpResponse

def read(request):
    request.session["times"] = request.session.get("times", 0) + 1
    return HttpResponse(f"{User.objects.count()} accounts, {request.session['times']} times")
""",
    "asgi": """
from django.contrib.auth.models import User
from django.http import HttpResponse

async def read(request):
    return HttpResponse(f"{await User.objects.acount()} accounts")
""",
}
# What is added to the end of the settings.
_SETTINGS = {
    "templates": "TEMPLATES[0]['DIRS'] = [BASE_DIR / 'pages']\n",
    "drf": "INSTALLED_APPS += ['rest_framework']\n",
    "asgi": "ASGI_APPLICATION = 'shop.asgi.application'\n",
}
KINDS = tuple(_VIEWS)

# Run with a kind of server and the folder: what the project answers well, and with its database isolated.
_ASKED = """
import json, os, runpy, sys

sys.path.insert(0, os.getcwd())
kind = sys.argv[1]
entry = "asgi" if kind == "asgi" else "wsgi"
runpy.run_path(f"shop/{entry}.py")

from io import StringIO
from django.core.management import call_command
from django.db import connections
from django.test import AsyncClient, Client
from asgiref.sync import async_to_sync

said = StringIO()
call_command("check", fail_level="WARNING", stdout=said, stderr=said)
for alias in connections:
    call_command("migrate", database=alias, verbosity=0)

from django.conf import settings
from resilience import registry, steward

settings.ALLOWED_HOSTS = ["testserver"]  # as it is called here

kind = AsyncClient if entry == "asgi" else Client
client = kind(raise_request_exception=False)

def ask(path):
    get = async_to_sync(client.get) if entry == "asgi" else client.get
    response = get(path)
    return [response.status_code, dict(response.items())]

found = {"check": said.getvalue(), "role": registry.role()}
with steward.none():
    found["well"] = ask("/read")
    registry.breaker("database").isolate(who="a test", why="to see it")
    found["isolated"] = {path: ask(path) for path in ("/read", "/api/health", "/api/health/live", "/nowhere")}
    found["board"] = ask("/admin/resilience/board/")[0]
    registry.breaker("database").auto(who="a test", why="seen")
    found["after"] = ask("/read")
print(json.dumps(found))
"""


class ProjectFolder:
    """One project in a folder of its own."""

    def __init__(self, folder: Path, kind: str = "plain", *, redis: str = "") -> None:
        self.folder = folder
        self.kind = kind
        folder.mkdir(exist_ok=True)
        call_command("startproject", NAME, str(folder))
        self.settings = folder / NAME / "settings.py"
        (folder / "pages").mkdir()
        (folder / "pages" / "read.html").write_text("{{ accounts|length }} accounts")
        (folder / NAME / "views.py").write_text(_VIEWS[kind])
        urls = folder / NAME / "urls.py"
        urls.write_text(
            urls.read_text()
            .replace("urlpatterns = [", "urlpatterns = [\n    path('read', views.read),")
            .replace("from django.urls import path", "from django.urls import path\n\nfrom shop import views")
        )
        self.add(_SETTINGS.get(kind, ""))
        if kind == "two":
            self.change(
                "DATABASES = {",
                "DATABASES = {\n    'reports': {'ENGINE': 'django.db.backends.sqlite3', "
                "'NAME': BASE_DIR / 'reports.sqlite3'},",
            )
        if kind == "sessions":
            self.add(
                "CACHES = {\n    'default': {\n        'BACKEND': 'django_redis.cache.RedisCache',\n"
                f"        'LOCATION': '{redis}',\n    }},\n}}\n"
                "SESSION_ENGINE = 'django.contrib.sessions.backends.cached_db'\n"
            )

    def add(self, lines: str) -> None:
        """Add lines at the end of the settings."""
        self.settings.write_text(self.settings.read_text() + lines)

    def change(self, before: str, after: str) -> None:
        """Change a part of the settings, which has to be there."""
        text = self.settings.read_text()
        assert before in text
        self.settings.write_text(text.replace(before, after))

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the folder, with the settings' variables alone."""
        own = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=own
            | {
                "PYTHONPATH": str(ROOT),
                "RESILIENCE_DIR": str(self.folder / "store"),
                "PYTHONDONTWRITEBYTECODE": "1",
            }
            | variables,
            capture_output=True,
            text=True,
            timeout=ServerProcess.patience,
            check=False,
        )

    def init(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "resilience", "init", *arguments, **variables)

    def asked(self, **variables: str) -> dict[str, Any]:
        """Return what the project answers, well and with its database isolated."""
        run = self.run("-c", _ASKED, self.kind, **variables)
        assert run.returncode == 0, run.stderr
        found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
        return found

    def code(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in (self.folder / NAME).glob("*.py")}
