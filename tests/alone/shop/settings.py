"""SQLite and process memory. The variable SETTINGS holds, as JSON, what a test wants otherwise."""

import json
import os
from pathlib import Path
from typing import Any

BASE_DIR = Path(os.environ["SHOP"])
SECRET_KEY = "only for this test, and nobody else knows it: 0123456789"
OPS_TOKEN = "0123456789abcdef" * 2
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "shop.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
INSTALLED_APPS = [
    "shop",
    "resilience",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "resilience.middleware.ResilienceMiddleware",
    "resilience.problems.ProblemMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES: dict[str, Any] = {
    "default": {"ENGINE": "resilience.db.sqlite3", "NAME": BASE_DIR / "shop.sqlite3"},
    "static": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:named-by-the-static-tier?mode=ro"},
}
DATABASE_ROUTERS = ["resilience.db.router.TierRouter"]
CACHES: dict[str, Any] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
RESILIENCE: dict[str, Any] = {
    "NAMESPACE": "shop",
    "DIR": str(BASE_DIR / "store"),
    "FALLBACK": "shop.copy.EXPORT",
}

for _name, _value in json.loads(os.environ.get("SETTINGS", "{}")).items():
    _known = globals().get(_name)
    globals()[_name] = _known | _value if isinstance(_known, dict) else _value
