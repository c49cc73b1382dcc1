"""A server process begins with one of these modules: Django has loaded nothing yet."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("entry", ["zenow.wsgi", "zenow.asgi"])
def test_an_entry_loads_in_a_process_that_has_loaded_nothing(entry: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", f"import {entry}"],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "zenow.settings.test"},
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
