"""The project `shop` of the README: a plain new Django project with the README's lines, under gunicorn."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import requests

from tests.docs.blocks import ROOT, blocks
from tests.servers.process import ServerProcess

# What the stranger has before they read on: an app with a model, its serializer and its addresses.
APP = {
    "products/__init__.py": "",
    "products/models.py": """
from django.db import models
from rest_framework import serializers


class Product(models.Model):
    title = models.CharField(max_length=100)
    updated = models.DateTimeField(auto_now=True)


class ProductSerializer(serializers.ModelSerializer):
    class Meta:
        model = Product
        fields = ["id", "title"]
""",
    "products/urls.py": """
from rest_framework.routers import SimpleRouter

from products.views import ProductViewSet

router = SimpleRouter()
router.register("products", ProductViewSet)
urlpatterns = router.urls
""",
}


def lines_of_the_readme() -> dict[str, tuple[str, str]]:
    """Return for each file where the lines belong ("at its top", "at its end", "") and what they are."""
    found = {}
    for block in blocks("README.md", "python"):
        first, _, code = block.partition("\n")
        if match := re.fullmatch(r"# ([a-z/]+\.py)(?:, (at its (?:top|end)))?", first):
            found[match[1]] = (match[2] or "", code)
    return found


class ShopServer(ServerProcess):
    """The project, made in `directory` by `django-admin startproject`; on a PostgreSQL where one is given."""

    death_signal = ServerProcess.stop_signal  # Killed, it would leave its workers behind.

    def __init__(
        self, directory: Path, database: Mapping[str, object] | None = None, settings: str = ""
    ) -> None:
        super().__init__(directory)
        self._run("-m", "django", "startproject", "shop", str(directory)).check_returncode()
        shutil.copytree(
            ROOT / "resilience", directory / "resilience", ignore=shutil.ignore_patterns("__pycache__")
        )
        for name, code in APP.items():
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_text(code)
        if database is not None:
            with (directory / "shop/settings.py").open("a") as file:
                file.write(f"\nDATABASES['default'] = {database!r}\n")
        for name, (place, code) in lines_of_the_readme().items():
            path = directory / name
            there = path.read_text() if path.exists() else ""
            if database is not None:
                code = code.replace("resilience.db.sqlite3", "resilience.db.postgresql")
            path.write_text(f"{code}\n{there}" if place == "at its top" else f"{there}\n{code}")
        with (directory / "shop/settings.py").open("a") as file:
            file.write(f"\n{settings}\n")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str | Path]:
        options = ["--workers", "2", "--threads", "112", "--no-control-socket"]
        place: list[str | Path] = ["--chdir", self.directory, "--bind", f"127.0.0.1:{self.port}"]
        return [sys.executable, "-m", "gunicorn", *options, *place, "shop.wsgi"]

    def environment(self) -> Mapping[str, str]:
        own = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return own | {"RESILIENCE_DIR": str(self.directory / "store")}

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/api/health").status_code == 200
        except requests.RequestException:
            return False

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run("manage.py", *arguments)

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        auth: tuple[str, str] | None = None,
        session: str = "",
    ) -> requests.Response:
        cookies = {"sessionid": session}
        return requests.request(method, self.url + path, json=body, auth=auth, cookies=cookies, timeout=10)

    def in_chunks(self, method: str, path: str, *parts: bytes, **headers: str) -> requests.Response:
        """Send a body without saying its length, JSON unless said."""
        said = {"Content-Type": "application/json", **headers}
        return requests.request(method, self.url + path, data=iter(parts), headers=said, timeout=10)

    def session(self) -> str:
        """Return the session of a new superuser: hashing a password may take longer than a request has."""
        code = (
            "from django.contrib.auth.models import User; from django.test import Client;"
            "client = Client(); client.force_login(User.objects.create_superuser('ada'));"
            "print(client.cookies['sessionid'].value)"
        )
        made = self.manage("shell", "--verbosity", "0", "-c", code)
        made.check_returncode()
        return made.stdout.strip()

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.directory,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
