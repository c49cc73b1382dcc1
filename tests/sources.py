"""The sources of an installed package, tests included: its wheel has none."""

import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

KEPT = Path(__file__).resolve().parents[1] / "var" / "sources"
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def sources(package: str) -> Path:
    """Return the unpacked sources of the version that is installed, fetched by pip on first use."""
    version = importlib.metadata.version(package)
    unpacked = KEPT / f"{package}-{version}"
    if not unpacked.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that a run that is interrupted leaves no half of it there.
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            subprocess.run(
                [
                    *(*PIP, "download", "--no-deps", "--no-binary", package),
                    *("--dest", folder, f"{package}=={version}"),
                ],
                check=True,
                timeout=300,
            )
            (archive,) = Path(folder).glob("*.tar.gz")
            # By `tar`: Python's own has a safe way only since 3.11.4.
            subprocess.run(
                ["tar", "--extract", "--no-same-owner", "--file", archive, "--directory", folder], check=True
            )
            # A package with a dash in its name has an underscore here.
            (made,) = (place for place in Path(folder).iterdir() if place.is_dir())
            made.rename(unpacked)
    return unpacked
