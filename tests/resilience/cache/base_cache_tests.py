"""Run Django's own tests of cache backends on ResilientCache.

`python -m tests.resilience.cache.base_cache_tests json|signed [redis://…]`: on django-redis, else on Django's
memory. What is left out, and why, stands in LEFT_OUT.
"""

import importlib
import sys
from typing import Any

import django
from django.conf import settings
from django.test import TestCase, override_settings
from django.test.runner import DiscoverRunner

from tests.sources import sources

# They store what could only come back by executing what was stored: a cache of signed values does.
OF_PICKLES = {
    "test_data_types": "a function and a class",
    "test_cache_read_for_model_instance": "a model",
    "test_cache_read_for_model_instance_with_deferred": "a model",
    "test_cache_write_for_model_instance_with_deferred": "a model",
    "test_cache_write_unpicklable_object": "a response",
}
# They expect pickle's errors; ours is a TypeError that names the type.
OF_ERRORS = {
    "test_add_fail_on_pickleerror": "an error of pickle",
    "test_set_fail_on_pickleerror": "an error of pickle",
}
LEFT_OUT = {"json": OF_PICKLES | OF_ERRORS, "signed": OF_ERRORS}


def caches_under_test(values: str, url: str | None) -> dict[str, Any]:
    """Return the backend that the tests' own aliases are made of."""
    inner = "django_redis.cache.RedisCache" if url else "django.core.cache.backends.locmem.LocMemCache"
    options = {"INNER": inner, "VALUES": values}
    return {"BACKEND": "resilience.cache.ResilientCache", "LOCATION": url or "", "OPTIONS": options}


def main(values: str, url: str | None) -> int:
    """Run them; return the number of failures."""
    sys.path.insert(0, str(sources("django") / "tests"))
    base = caches_under_test(values, url)
    settings.configure(
        INSTALLED_APPS=["cache", "resilience"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3"}},
        CACHES={"default": base},
        RESILIENCE={"NAMESPACE": "base-cache-tests"},
        USE_TZ=False,
        SECRET_KEY="only-for-these-tests",
    )
    django.setup()
    theirs: Any = importlib.import_module("cache.tests")

    # These two need a backend that drops entries by count.
    without = {"cull", "zero_cull"} if url else set()

    caches = theirs.caches_setting_for_tests(base=base, exclude=without)
    for alias in caches.values():
        alias["OPTIONS"] = base["OPTIONS"] | alias["OPTIONS"]

    @override_settings(CACHES=caches)
    class ResilientCacheTests(theirs.BaseCacheTests, TestCase):  # type: ignore[misc]
        pass

    for name in LEFT_OUT[values]:
        # A test that Django has dropped must not stay on the list.
        assert hasattr(ResilientCacheTests, name), name
        setattr(ResilientCacheTests, name, None)
    runner = DiscoverRunner(verbosity=1)
    suite = runner.test_loader.loadTestsFromTestCase(ResilientCacheTests)
    runner.setup_test_environment()
    databases = runner.setup_databases(aliases={"default"})
    try:
        result = runner.run_suite(suite)
    finally:
        runner.teardown_databases(databases)
    return len(result.failures) + len(result.errors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
