"""The folder of the project: `BASE_DIR`, which is no setting of Django's, or a good guess."""

import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from resilience.conf.project import base_dir


class TestBaseDir:
    def test_is_that_of_the_settings(self, settings: Any) -> None:
        settings.BASE_DIR = "/srv/shop"

        assert base_dir() == Path("/srv/shop")

    def test_is_needed_by_nobody(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        named = Path(settings.BASE_DIR)
        del settings.BASE_DIR
        monkeypatch.delenv("RESILIENCE_EVENTS_DIR", raising=False)
        settings.RESILIENCE = {
            key: value for key, value in settings.RESILIENCE.items() if key != "EVENTS_DIR"
        }

        assert base_dir() == named
        assert [one.id for one in run_checks(tags=["resilience"])] == ["resilience.W008"]

    def test_without_a_module_of_settings_is_the_current_folder(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del settings.BASE_DIR
        monkeypatch.setattr(sys.modules["zenow"], "__path__", [])
        monkeypatch.setattr(sys.modules["zenow"], "__file__", None)

        assert base_dir() == Path.cwd()
