"""What `pyproject.toml` says of the project, to which other files are held."""

import re
import tomllib
from typing import Any

from tests.architecture.test_house import ROOT

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
VERSION: str = PROJECT["version"]
# The Pythons that are supported stand in the classifiers alone, lowest first.
PYTHONS = re.findall(r"^Programming Language :: Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.M)
