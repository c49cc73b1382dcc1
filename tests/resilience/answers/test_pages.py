"""Our own pages do not depend on how the project finds its templates."""

import pytest
from pytest_django import Settings

from resilience.answers.pages import page

NO_APPS = {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": False}


@pytest.mark.parametrize("templates", [[], [NO_APPS]], ids=["no engine", "no apps"])
@pytest.mark.parametrize("name", ["503.html", "board.html", "board_entry.html"])
def test_are_rendered_whatever_loaders_there_are(
    name: str, templates: list[dict[str, object]], settings: Settings
) -> None:
    settings.TEMPLATES = templates
    assert page(f"resilience/{name}", {}).startswith("<!doctype html>")
