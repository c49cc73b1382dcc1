"""Settings of a site whose code can be broken while it runs: by a file that appears."""

import os
from pathlib import Path

from zenow.settings.base import *  # noqa: F403

if Path(os.environ["BROKEN_WHILE_THERE_IS"]).exists():
    raise RuntimeError("this code is broken")
