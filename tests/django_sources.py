"""The sources of the Django that is installed, tests included: its wheel has none."""

import subprocess
import sys
import tarfile
from pathlib import Path

import django

KEPT = Path(__file__).resolve().parents[1] / "var" / "django-sources"


def django_sources() -> Path:
    """Return the unpacked source distribution of this very version, fetched by pip on first use."""
    version = django.get_version()
    unpacked = KEPT / f"django-{version}"
    if not unpacked.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--no-binary", ":all:", "--dest", KEPT, f"Django=={version}"),
            ],
            check=True,
            timeout=300,
        )
        (archive,) = KEPT.glob(f"[Dd]jango-{version}.tar.gz")
        with tarfile.open(archive) as file:
            file.extractall(KEPT, filter="data")
    return unpacked
