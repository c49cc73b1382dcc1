"""System checks of the settings themselves: what `RESILIENCE` says, and where folders lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from resilience import conf
from resilience.conf.project import base_dir
from resilience.defaults import BREAKERS

DRILLS = "resilience.drills"


def check_settings(**_: Any) -> Iterator[CheckMessage]:
    """E001 to I007: the entries of `RESILIENCE` are known, complete and possible, and can be imported."""
    for key in conf.unknown_keys():
        yield Error(
            f"RESILIENCE has a key that nothing reads: {key}.",
            hint="It is misspelt or in the wrong place: correct or remove it.",
            id="resilience.E001",
        )
    if not conf.get("NAMESPACE"):
        yield Error(
            "RESILIENCE has no NAMESPACE.",
            hint="Give this project a short name of its own: two on one host would share their breakers.",
            id="resilience.E002",
        )
    for read in (conf.breakers, conf.bulkheads, conf.chores, conf.alerts):
        try:
            read()
        except ImproperlyConfigured as error:
            yield Error(str(error), hint="Correct the value.", id="resilience.E003")
    for section, keys in (("BREAKERS", ("classify", "ping", "probe")), ("CHORES", ("run",))):
        for name, entry in conf.get(section).items():
            for key in keys:
                if key in entry and (why := cannot_import(entry[key])):
                    yield Error(
                        f"RESILIENCE['{section}']['{name}']['{key}']: {why}",
                        hint="Name a function by its dotted path.",
                        id="resilience.E004",
                    )

    for name, entry in conf.get("BREAKERS").items():
        usual = BREAKERS.get(name, {})
        if lacks := [key for key in ("classify", "ping", "probe") if key in usual and key not in entry]:
            yield Warning(
                f"RESILIENCE['BREAKERS']['{name}'] names no {' and no '.join(lacks)}: "
                "every exception counts as a failure, or a request has to find out whether it is back.",
                hint=f"Begin with the usual entry: BREAKERS['{name}'] | {{…}} of resilience.defaults.",
                id="resilience.W005",
            )
    if conf.faults_allowed() and not apps.is_installed(DRILLS):
        yield Error(
            "RESILIENCE['DRILLS'] is true, but the app of drills is not installed.",
            hint=f'Add the line "{DRILLS}", to INSTALLED_APPS, or remove DRILLS.',
            id="resilience.E006",
        )
    if said := _shadow():
        yield Info(
            said,
            hint="manage.py breakers report tells what would be. Take it out to be guarded.",
            id="resilience.I007",
        )


def check_base_dir(**_: Any) -> Iterator[CheckMessage]:
    """W008: the folders that no setting names lie in a place that a setting names."""
    named = conf.get("EVENTS_DIR") or os.environ.get("RESILIENCE_EVENTS_DIR")
    if not getattr(settings, "BASE_DIR", None) and not named:
        yield Warning(
            f"The settings have no BASE_DIR: the folder var, with the journal, lies in {base_dir()}.",
            hint="Set BASE_DIR, or name the folders: EVENTS_DIR and STATIC_DIR of RESILIENCE.",
            id="resilience.W008",
        )


def _shadow() -> str:
    if conf.shadow():
        return "RESILIENCE['SHADOW'] is true: nothing is refused, cut or stood in for."
    named = [name for name, entry in conf.get("BREAKERS").items() if entry.get("shadow")]
    return (
        f"RESILIENCE['BREAKERS']: {', '.join(named)} in shadow, and nothing of theirs is refused."
        if named
        else ""
    )


def cannot_import(path: str) -> str | None:
    """Say why a dotted path cannot be imported; None if it can."""
    try:
        import_string(path)
    except ImportError as error:
        return str(error)
    return None
