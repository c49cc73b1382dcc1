"""Build, export and show the static copy, which answers reads while the database is down."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from resilience.primitives import TierUnavailableError
from resilience.tiers.static_copy import StaticInfo, building, files, keeping, removing

NO_FILE = 1
"""Exit status when there is no static copy, or none could be built."""

_PR_SET_PDEATHSIG = 1
# The niceness of a build in the background.
_NICENESS = 10


class Command(BaseCommand):
    help = (
        "Build the static copy from the fixtures, export it from the live database, remove from it what is "
        "no longer public, or show its rows, their age and where they come from."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["build", "export", "remove", "status"])
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument("--if-missing", action="store_true", help="build only if no file opens")
        parser.add_argument("--if-changed", action="store_true", help="export only what has changed")
        parser.add_argument("--background", action="store_true", help="let everything else go first")
        parser.add_argument("--parent", type=int, help="end when this process does, which has started it")

    def handle(self, *, action: str, **options: Any) -> None:
        if options["background"]:
            os.nice(_NICENESS)
        if options["parent"]:
            _end_with(options["parent"])
        try:
            made = None if action == "status" else _make(action, options)
            self._show(made or files.current().info, as_json=options["json"])
        except building.BusyError as error:
            raise CommandError(str(error), returncode=keeping.BUSY) from error
        except (building.BuildError, TierUnavailableError) as error:
            raise CommandError(str(error), returncode=NO_FILE) from error
        except OSError as error:
            raise CommandError(f"the static copy cannot be written: {error}", returncode=NO_FILE) from error
        except DatabaseError as error:
            raise CommandError(f"a database cannot be used: {error}", returncode=NO_FILE) from error

    def _show(self, info: StaticInfo, *, as_json: bool) -> None:
        resources = {
            name: {"rows": count, "as_of": info.as_of.isoformat(), "source": info.source}
            for name, count in info.rows.items()
        }
        if as_json:
            self.stdout.write(json.dumps(resources, indent=2))
            return
        width = max(len("RESOURCE"), *map(len, resources))
        self.stdout.write(f"{'RESOURCE':{width}}  {'ROWS':>8}  {'SOURCE':8}  AS OF")
        for name, said in resources.items():
            self.stdout.write(f"{name:{width}}  {said['rows']:>8}  {said['source']:8}  {said['as_of']}")


def _end_with(parent: int) -> None:
    """End this process when the server ends: the file is no longer needed, and its folder may be removed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(f"process {parent}, which has started this, has ended")


def _make(action: str, options: dict[str, Any]) -> StaticInfo | None:
    """Return the label of the copy that was built; None if none had to be built."""
    with building.alone():
        if action == "build":
            if options["if_missing"] and _opens():
                return None
            return building.from_fixtures(rescue=options["if_missing"])
        if action == "remove":
            return removing.without_removed()
        if options["if_changed"] and not building.changed():
            return None
        return building.from_live()


def _opens() -> bool:
    try:
        files.current()
    except TierUnavailableError:
        return False
    return True
