"""Settings of a site with views that hang: the whole interpreter, or one thread after the other."""

from zenow.settings.base import *  # noqa: F403

ROOT_URLCONF = "tests.zenow.server.hanging_urls"
