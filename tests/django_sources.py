"""The sources of the Django that is installed, tests included: its wheel has none."""

import subprocess
import sys
import tempfile
from pathlib import Path

import django

KEPT = Path(__file__).resolve().parents[1] / "var" / "django-sources"


def django_sources() -> Path:
    """Return the unpacked source distribution of this very version, fetched by pip on first use."""
    name = f"django-{django.get_version()}"
    unpacked = KEPT / name
    if not unpacked.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that a run that is interrupted leaves no half of it there.
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
                    *("--no-deps", "--no-binary", "Django", "--dest", folder),
                    f"Django=={django.get_version()}",
                ],
                check=True,
                timeout=300,
            )
            (archive,) = Path(folder).glob("*.tar.gz")
            unpack(archive, Path(folder))
            (Path(folder) / name).rename(unpacked)
    return unpacked


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive by `tar`: Python's own has a safe way only since 3.11.4."""
    subprocess.run(
        ["tar", "--extract", "--no-same-owner", "--file", archive, "--directory", folder], check=True
    )
