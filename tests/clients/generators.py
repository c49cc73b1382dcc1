"""Three generators of clients, and the clients that they make of a site's schema.

Each client is a folder with all that its journey needs. `make clients` installs the generators into
`.venv-clients`, apart from what the suite itself runs with.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.site import ROOT

TOOLS = ROOT / ".venv-clients"
PYTHON = TOOLS / "bin" / "python"
MODULES = TOOLS / "node_modules"
JOURNEYS = Path(__file__).parent / "journeys"


def missing() -> str:
    """Return why no client can be made here, "" if each can."""
    if not (TOOLS / ".installed").exists():
        return "`make clients` has not installed the generators"
    programs = [name for name in ("java", "node") if shutil.which(name) is None]
    return f"there is no {' and no '.join(programs)} here" if programs else ""


@dataclass(frozen=True)
class Client:
    """A client that was made: the command that goes its journey, and where."""

    command: list[str | Path]
    folder: Path

    def journey(self, *arguments: str) -> dict[str, Any]:
        """Go the journey; return what it met. One that fails raises AssertionError with what it wrote."""
        met: dict[str, Any] = json.loads(run([*self.command, *arguments], self.folder))
        return met


def run(command: list[str | Path], folder: Path) -> str:
    """Run a program in a folder; return what it wrote."""
    path = f"{TOOLS / 'bin'}:{os.environ['PATH']}"
    # As little memory and as few threads for Java as do: others work beside it.
    environment = {"PATH": path, "HOME": str(folder), "JAVA_TOOL_OPTIONS": "-Xmx512m -XX:TieredStopAtLevel=1"}
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=170
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    return ran.stdout


def attrs(schema: Path, folder: Path) -> Client:
    """Make a client with openapi-python-client, of attrs and httpx."""
    (folder / "settings.yml").write_text("post_hooks: []\n")
    options = [
        "--output-path",
        "attrs_client",
        "--meta",
        "none",
        "--config",
        "settings.yml",
        "--fail-on-warning",
    ]
    run([PYTHON, "-m", "openapi_python_client", "generate", "--path", schema, *options], folder)
    return Client([PYTHON, shutil.copy(JOURNEYS / "of_attrs.py", folder)], folder)


def pydantic(schema: Path, folder: Path) -> Client:
    """Make a client with openapi-generator, of pydantic and urllib3."""
    wanted = "apis,models,supportingFiles,apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"
    options = ["--package-name", "pydantic_client", "--global-property", wanted, "-o", str(folder)]
    run([TOOLS / "bin" / "openapi-generator-cli", "generate", "-g", "python", "-i", schema, *options], folder)
    return Client([PYTHON, shutil.copy(JOURNEYS / "of_pydantic.py", folder)], folder)


def fetch(schema: Path, folder: Path) -> Client:
    """Make types with openapi-typescript; `tsc` checks and compiles what uses them by openapi-fetch."""
    for file in ("of_fetch.ts", "tsconfig.json"):
        shutil.copy(JOURNEYS / file, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(MODULES)
    run(["node", MODULES / ".bin" / "openapi-typescript", schema, "-o", "schema.d.ts"], folder)
    run(["node", MODULES / ".bin" / "tsc", "--project", "tsconfig.json"], folder)
    return Client(["node", "of_fetch.js"], folder)


GENERATORS: dict[str, Callable[[Path, Path], Client]] = {
    "openapi-python-client": attrs,
    "openapi-generator": pydantic,
    "openapi-typescript": fetch,
}
