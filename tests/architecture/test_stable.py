"""`docs/stable.md`: each path is imported, each list is what the code really has."""

import ast
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import get_commands
from django.dispatch import Signal
from django.urls import get_resolver
from django.utils.module_loading import import_string
from prometheus_client.parser import text_string_to_metric_families

from resilience import conf, signals
from resilience.observe.metrics import exposition
from resilience.operate.orders import PERMISSION, WORDS
from resilience.request.request_headers import REQUEST_HEADERS
from resilience.request.response_headers import HEADERS, OF_HTTP, ResponseHeader
from resilience.testing import server_role

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "stable.md").read_text()
PRODUCT = [file for package in ("resilience", "learn", "zenow") for file in (ROOT / package).rglob("*.py")]


def listed(title: str) -> list[str]:
    """Return the names in the first column of the tables under a heading."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, title
    return re.findall(r"^\| `([^`]+)` \|", found[1], re.MULTILINE)


PATHS = listed("Paths")
MOVED = re.findall(
    r"^\| `(resilience\.[\w.]+)` \| `(resilience\.[\w.]+)` \|$",
    (ROOT / "docs" / "upgrading.md").read_text(),
    re.MULTILINE,
)


class TestPaths:
    @pytest.mark.parametrize("path", PATHS)
    def test_are_imported_without_a_warning(self, path: str) -> None:
        assert found_at(path)

    @pytest.mark.parametrize("file", ["zenow/settings/base.py", "resilience/defaults.py"])
    def test_are_all_that_settings_name(self, file: str) -> None:
        named = {text for text in texts(ROOT / file) if re.fullmatch(r"resilience(\.\w+)+", text)}
        assert named
        assert named - set(PATHS) == set()

    @pytest.mark.parametrize("file", ["README.md", "docs/settings.md"])
    def test_are_all_that_documents_show(self, file: str) -> None:
        text = (ROOT / file).read_text()
        imported = re.findall(r"from (resilience[\w.]*) import ([\w, ]+)", text)
        shown = {f"{module}.{name}" for module, names in imported for name in names.split(", ")}
        shown |= set(re.findall(r"\"(resilience\.[\w.]+)\"", text))
        shown |= set(re.findall(r"`(resilience\.[\w.]+)(?:\(.*?)?`", text))
        assert shown
        assert {path for path in shown if not re.search(r"\.py$|\.[EWI]\d{3}$", path)} - set(PATHS) == set()

    def test_are_all_signals(self) -> None:
        sent = {
            f"resilience.signals.{name}" for name in vars(signals) if isinstance(vars(signals)[name], Signal)
        }
        assert sent == {path for path in PATHS if path.startswith("resilience.signals.")}


class TestOldPlaces:
    """Paths that have moved, as the page on upgrading lists them with their new places."""

    @pytest.mark.parametrize(("old", "new"), MOVED)
    def test_work_with_a_warning(self, old: str, new: str) -> None:
        sys.modules.pop(old, None)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            assert found_at(old)
        assert f"{old} is now {new}" in [str(each.message) for each in seen]
        assert found_at(new)

    def test_are_all_listed(self) -> None:
        said = (re.fullmatch(r"(resilience[\w.]+) is now (resilience[\w.]+)", text) for text in all_texts())
        assert {(found[1], found[2]) for found in said if found} == set(MOVED)


def found_at(path: str) -> Any:
    """Return the module of this path, else what is called so in one."""
    try:
        return import_module(path)
    except ModuleNotFoundError:
        return import_string(path)


def texts(file: Path) -> Iterator[str]:
    """Yield the texts in a module's code."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def all_texts() -> Iterator[str]:
    """Yield the texts in the product's code."""
    for file in PRODUCT:
        yield from texts(file)


def calls(name: str) -> Iterator[tuple[Path, ast.Call]]:
    """Yield the calls of functions of this name in the product's code."""
    for file in PRODUCT:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
                yield file, node


def dotted(file: Path) -> str:
    """Return the name of a module."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def commands() -> set[str]:
    return {name for name, app in get_commands().items() if app.split(".")[0] in ("resilience", "learn")}


def addresses() -> set[str]:
    """Return the addresses of the site: of the admin's, the board alone."""

    def below(resolver: Any, prefix: str) -> Iterator[str]:
        for pattern in resolver.url_patterns:
            path = prefix + str(pattern.pattern)
            if hasattr(pattern, "url_patterns"):
                yield from below(pattern, path)
            else:
                yield "/" + re.sub(r"\(\?P<(\w+)>.*?\)", r"{\1}", path.replace("^", "").replace("/?$", ""))

    found = {path for path in below(get_resolver(), "") if path.startswith("/api/")}
    board = {f"/{prefix}" for prefix in map(str, (each.pattern for each in get_resolver().url_patterns))}
    return (
        found
        | {path for path in board if "board" in path}
        | set(filter(None, map(conf.get, ("LIVENESS_PATH", "READINESS_PATH", "METRICS_PATH"))))
    )


def headers() -> set[str]:
    """Return the headers of ours that the code names anywhere."""
    named = {
        text for file in PRODUCT for text in texts(file) if re.fullmatch(r"X-[\w-]+|Idempotent-\w+", text)
    }
    return named - {"X-Content-Type-Options"}


def shown(header: ResponseHeader) -> list[str]:
    """Return the cells of a header in the page's table: what it says, and which answers have it."""
    *most, last = [f"`{value}`" for value in header.values] or [""]
    return [f"{header.says}: {', '.join(most)} or {last}" if most else header.says, header.on]


def metrics() -> set[str]:
    with server_role():
        text = exposition("text/plain")[0].decode()
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(text)
    }


def events() -> set[str]:
    kinds = {
        node.value
        for _, call in calls("record")
        if call.args
        for node in ast.walk(call.args[0])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return kinds | set(WORDS)


def loggers() -> set[str]:
    names = {
        dotted(file) if ast.unparse(call.args[0]) == "__name__" else ast.literal_eval(call.args[0])
        for file, call in calls("getLogger")
        if call.args and not (isinstance(call.args[0], ast.Name) and call.args[0].id != "__name__")
    }
    return names - {"django.request"}


def tables() -> set[str]:
    models = [
        model
        for app in ("resilience", "learn", "accounts")
        for model in apps.get_app_config(app).get_models()
    ]
    return {model._meta.db_table for model in models if model._meta.managed}


def static_files() -> set[str]:
    folder = ROOT / "resilience" / "static" / "resilience"
    return {str(path.relative_to(folder)) for path in folder.rglob("*.*")}


class TestLists:
    @pytest.mark.parametrize(
        ("title", "there"),
        [
            ("Commands", commands),
            ("Addresses", addresses),
            ("Headers", headers),
            ("Metrics", metrics),
            ("Events", events),
            ("Loggers", loggers),
            ("Tables", tables),
            ("Static files", static_files),
        ],
    )
    def test_are_what_the_code_has(self, title: str, there: Callable[[], set[str]]) -> None:
        assert sorted(listed(title)) == sorted(there()), f"correct {title!r} in docs/stable.md"

    def test_say_of_each_header_what_its_table_in_the_code_says(self) -> None:
        rows = [f"| `{name}` | {' | '.join(shown(header))} |" for name, header in HEADERS.items()]
        assert "\n".join(["| --- | --- | --- |", *rows, ""]) in PAGE, "correct 'Headers' in docs/stable.md"
        assert f"of HTTP itself ({', '.join(f'`{name}`' for name in OF_HTTP)})" in PAGE
        assert f"Of requests: {', '.join(f'`{name}`' for name in REQUEST_HEADERS)}." in PAGE

    def test_name_the_permission(self) -> None:
        assert f"`{PERMISSION}`" in PAGE
