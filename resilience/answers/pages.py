"""Our own pages, rendered also where no template loader looks into the apps."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from django.http import HttpRequest
from django.template import TemplateDoesNotExist
from django.template.backends.django import DjangoTemplates
from django.template.loader import render_to_string

_TEMPLATES = Path(__file__).parents[1] / "templates"


def page(name: str, said: dict[str, Any], request: HttpRequest | None = None) -> str:
    """Render a page: the project's own, if it has one by this name, else ours."""
    try:
        return render_to_string(name, said, request)
    except TemplateDoesNotExist:
        text: str = _ours().get_template(name).render(said, request)
        return text


@cache
def _ours() -> DjangoTemplates:
    return DjangoTemplates({"NAME": "resilience", "DIRS": [_TEMPLATES], "APP_DIRS": False, "OPTIONS": {}})
