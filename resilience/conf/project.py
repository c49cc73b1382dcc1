"""The folder of the project, below which files lie whose place no setting names."""

import sys
from pathlib import Path

from django.conf import settings


def base_dir() -> Path:
    """Return `BASE_DIR`, which is no setting of Django's; else the folder that holds the settings' package.

    Without a module of settings it is the current folder.
    """
    named = getattr(settings, "BASE_DIR", None)
    if named:
        return Path(named)
    module = sys.modules.get(str(getattr(settings, "SETTINGS_MODULE", None)).partition(".")[0])
    places = list(getattr(module, "__path__", ()))
    if places:
        return Path(places[0]).resolve().parent
    file = getattr(module, "__file__", None)
    return Path(file).resolve().parent if file else Path.cwd()
