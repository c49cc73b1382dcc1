"""What an error report shows of the settings."""

import pytest
from django.test import override_settings
from django.views.debug import get_default_exception_reporter_filter

SECRET = "hunter2"


class TestErrorReport:
    @pytest.mark.parametrize(
        "settings",
        [
            {"REDIS_URL": f"redis://:{SECRET}@cache/0"},
            {"SENTRY_DSN": f"https://{SECRET}@errors.example/1"},
            {"RATINGS_URL": f"https://ratings.example/?key={SECRET}"},
            {"CACHES": {"default": {"LOCATION": f"redis://user:{SECRET}@cache/0"}}},
            {"CACHES": {"default": {"LOCATION": [f"redis://:{SECRET}@one/0", f"redis://:{SECRET}@two/0"]}}},
        ],
        ids=lambda settings: next(iter(settings)),
    )
    def test_hides_secrets(self, settings: dict[str, object]) -> None:
        with override_settings(**settings):
            shown = get_default_exception_reporter_filter().get_safe_settings()
        assert SECRET not in str({name: shown[name] for name in settings})

    def test_still_shows_where_the_cache_is(self) -> None:
        with override_settings(CACHES={"default": {"LOCATION": f"redis://:{SECRET}@cache.example/0"}}):
            shown = get_default_exception_reporter_filter().get_safe_settings()
        assert "cache.example" in str(shown["CACHES"])
