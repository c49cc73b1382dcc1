"""Go through the shop as a server process of it, and print what was met as JSON: `python -m shop.tour`.

The modules of other packages that are loaded then are told at the end.
"""

import json
import sys
import time
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import django
from django.core.management import call_command
from django.test import Client
from django.utils.module_loading import import_string

OURS = {"__main__", "__mp_main__", "shop", "resilience"}


def said_by(command: str, *arguments: str) -> str:
    """Run a command, and return what it prints."""
    with redirect_stdout(StringIO()) as said:
        call_command(command, *arguments)
    return said.getvalue()


def main() -> None:
    """Print what was met, by what was asked."""
    django.setup()
    met: dict[str, Any] = {"check": said_by("check", "--fail-level", "WARNING")}
    call_command("migrate", verbosity=0)
    import_string("shop.models.Product").objects.create(title="Chair")
    client = Client(headers={"authorization": f"Bearer {'0123456789abcdef' * 2}"})

    def ask(name: str, address: str) -> None:
        response = client.get(address)
        met[name] = [response.status_code, dict(response.items()), response.content.decode()]

    until = time.monotonic() + 20
    while client.get("/api/health/ready").status_code == 503 and time.monotonic() < until:
        time.sleep(0.1)  # the first copy is being made
    for name, address in (
        ("health", "/api/health"),
        ("live", "/api/health/live"),
        ("ready", "/api/health/ready"),
        ("breakers", "/api/admin/circuit-breakers"),
        ("board", "/admin/resilience/board/"),
        ("metrics", "/metrics"),
        ("healthy", "/products"),
    ):
        ask(name, address)
    met["export"] = said_by("fallback", "export")
    met["isolated"] = said_by("breakers", "isolate", "database", "--reason", "to see it")
    for name, address in (
        ("isolated health", "/api/health"),
        ("isolated live", "/api/health/live"),
        ("isolated ready", "/api/health/ready"),
        ("isolated board", "/admin/resilience/board/"),
        ("refused", "/products"),
        ("stand-in", "/shelf"),
    ):
        ask(name, address)
    met["auto"] = said_by("breakers", "auto", "database")
    ask("back", "/products")
    tops = {name.partition(".")[0] for name in sys.modules}
    met["loaded"] = sorted(name for name in tops - sys.stdlib_module_names - OURS if name[0] != "_")
    print(json.dumps(met))  # noqa: T201


main()
