"""Settings of a site whose code can be broken while it runs, or never end loading: by a file that appears."""

import os
import time
from pathlib import Path

from zenow.settings.base import *  # noqa: F403

if Path(os.environ.get("BROKEN_WHILE_THERE_IS", "")).is_file():
    raise RuntimeError("this code is broken")

if Path(os.environ.get("SLOW_WHILE_THERE_IS", "")).is_file():
    time.sleep(600)
