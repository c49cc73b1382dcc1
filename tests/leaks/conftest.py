"""The site of plain views as a server, with a course in its database and in the static copy."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache, caches
from pytest_django import Settings

from learn.models import Category, Course, Field
from resilience import registry
from resilience.testing import server_role
from resilience.tiers import fresh, not_stored, stored
from resilience.tiers.static_copy import building, keeping
from tests.leaks import site


@pytest.fixture(autouse=True)
def server(
    transactional_db: None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    settings.RESILIENCE = {**settings.RESILIENCE, "STATIC_DIR": str(tmp_path)}
    settings.ROOT_URLCONF = "tests.leaks.site"
    settings.MIDDLEWARE = site.MIDDLEWARE
    # Pages are objects, which the guarded cache does not take.
    pages = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "pages"}
    settings.CACHES = {**settings.CACHES, "pages": pages}
    settings.TEMPLATES = site.TEMPLATES
    # Nobody builds a static copy beside the test: neither the steward nor the start of this process.
    monkeypatch.setattr("resilience.steward.start", lambda: None)
    monkeypatch.setattr(keeping.start, "prepare", lambda: None)
    monkeypatch.setattr(keeping, "build_if_missing", lambda: False)
    with server_role():
        music = Field.objects.create(title="Music", category=Category.objects.create(title="Arts"))
        Course.objects.create(title="Jazz", field=music)
        registry.store().marks.rise(version=1)
        building.from_live()
        yield
    cache.clear()
    caches["pages"].clear()
    stored.forget()
    fresh.forget()
    not_stored.forget()
