"""Settings from the environment. The defaults are safe for a local run; production has to set some.

This one module is for every way to run: `manage.py` turns DEBUG on for a local run, servers leave it off.
`docs/settings.md` lists all variables. The settings of the guards are in `resilience.py`, beside this file.
"""

import contextlib
import os
from pathlib import Path
from typing import Any

import environ
from corsheaders.defaults import default_headers
from django.core.exceptions import ImproperlyConfigured
from pythonjsonlogger.core import RESERVED_ATTRS

from resilience.request import request_headers, response_headers
from zenow.settings.addresses import database_settings as database_settings
from zenow.settings.addresses import mail_settings, networks, redis_address, url_prefix
from zenow.settings.local_key import local_secret_key
from zenow.settings.resilience import RESILIENCE

BASE_DIR = Path(__file__).resolve().parents[2]
VAR_DIR = BASE_DIR / "var"

env = environ.Env()
# Missing or wrong variables; _refuse_if_incomplete() reports them together.
_problems: list[str] = []


def _number(name: str, default: int, most: int, least: int = 1) -> int:
    """Return the variable as a whole number from `least` to `most`; if it is none, note the problem."""
    value = env.str(name, default=str(default))
    if not value.isdecimal() or len(value) > 9 or not least <= int(value) <= most:
        _problems.append(f"{name}: {value!r} is no whole number from {least} to {most}")
        return default
    return int(value)


def _refuse_if_incomplete() -> None:
    """Stop the start with one message that lists all missing or wrong variables."""
    if _problems:
        lines = "\n".join(f"  - {problem}" for problem in _problems)
        advice = "" if DEBUG else "\n(For a local run set DEBUG=1 instead.)"
        raise ImproperlyConfigured(f"These variables keep the server from starting:\n{lines}{advice}")


# --- Who we are ---

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_EXPOSE_HEADERS = [*response_headers.HEADERS, *response_headers.OF_HTTP]
CORS_ALLOW_HEADERS = [*default_headers, *request_headers.REQUEST_HEADERS]
TRUSTED_PROXIES = networks(env.list("TRUSTED_PROXIES", default=[]), _problems)
OPS_TOKEN = env.str("OPS_TOKEN", default="")
RATINGS_URL = env.str("RATINGS_URL", default="")
FORCE_SCRIPT_NAME = url_prefix(env.str("URL_PREFIX", default=""), _problems)  # a proxy takes it off
PORT = _number("PORT", 8080, most=65_535)
WEB_CONCURRENCY = _number("WEB_CONCURRENCY", 2, most=256)  # worker processes
WEB_THREADS = _number("WEB_THREADS", 112, most=1_024)  # in each of them
DRAIN_SECONDS = _number("DRAIN_SECONDS", 5, most=600, least=0)  # from the order to end to the last accept

if DEBUG or "DATABASE_URL" not in os.environ:
    with contextlib.suppress(OSError):
        VAR_DIR.mkdir(exist_ok=True)  # else the checks say so (W080)

if DEBUG:
    try:
        SECRET_KEY = SECRET_KEY or local_secret_key(VAR_DIR)
    except OSError as error:  # each worker would have a different one
        _problems.append(f"SECRET_KEY: a local one cannot be kept, so set it ({error})")
    ALLOWED_HOSTS = ALLOWED_HOSTS or ["localhost", ".localhost", "127.0.0.1", "[::1]"]
else:
    if len(SECRET_KEY) < 50:
        _problems.append("SECRET_KEY: 50 random characters or more")
    if not ALLOWED_HOSTS:
        _problems.append("ALLOWED_HOSTS: the host names of this site, separated by commas")
if "*" in ALLOWED_HOSTS:
    _problems.append("ALLOWED_HOSTS: '*' would let stored pages carry another site's address; name the hosts")
if OPS_TOKEN and len(OPS_TOKEN) < 32:
    _problems.append("OPS_TOKEN: 32 characters or more, or unset")
_refuse_if_incomplete()

# --- The parts ---

INSTALLED_APPS = [
    "zenow.accounts",
    "learn",
    "resilience",
    "resilience.drills",
    "zenow.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
]

MIDDLEWARE = [
    "resilience.middleware.ResilienceMiddleware",
    "resilience.problems.ProblemMiddleware",
    "corsheaders.middleware.CorsMiddleware",  # before all that answers or redirects by itself
    "zenow.content_policy.ContentPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "zenow.static_files.StaticFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

ROOT_URLCONF = "zenow.urls"
WSGI_APPLICATION = "zenow.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "zenow" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Data ---

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": database_settings(env.str("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'zenow.sqlite3'}")),
    # The static tier sets the file at each entry. Test runners would make an empty one.
    "static": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "file:named-by-the-static-tier?mode=ro",
        "CONN_MAX_AGE": None,
        "TEST": {"MIRROR": "default"},
    },
}
DATABASE_ROUTERS = ["resilience.db.router.TierRouter"]

REDIS_URL = redis_address(env.str("REDIS_URL", default=""))
CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "resilience.cache.ResilientCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {
            "INNER": "django_redis.cache.RedisCache"
            if REDIS_URL
            else "django.core.cache.backends.locmem.LocMemCache"
        },
    }
}

RESILIENCE |= {"STATIC_DIR": env.str("STATIC_DIR", default=str(VAR_DIR / "static-tier")), "DRILLS": DEBUG}

# --- The API ---

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["zenow.media.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["zenow.media.JSONParser", "zenow.media.MergePatchParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "zenow.media.Negotiation",
    "DEFAULT_AUTHENTICATION_CLASSES": ["zenow.accounts.authentication.BearerAuthentication"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "resilience.problems.exception_handler",
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS would tell class names, and list all fields of study
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "TEST_REQUEST_RENDERER_CLASSES": ["zenow.media.JSONRenderer"],
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Zenow Learn",
    "DESCRIPTION": "A learning catalogue that keeps answering while what it depends on is down.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",  # in 3.0 nothing can be null that is described elsewhere (`$ref`, `oneOf`)
    "SERVE_INCLUDE_SCHEMA": False,
    "PREPROCESSING_HOOKS": ["zenow.openapi.without_trailing_slash"],
    "POSTPROCESSING_HOOKS": [
        "resilience.operate.openapi.with_operators",
        "drf_spectacular.hooks.postprocess_schema_enums",
        "zenow.openapi.with_tiers",
        "zenow.openapi.with_what_all_share",
    ],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- Mail: alerts alone; see RESILIENCE["ALERTS"] ---

ADMINS = [("", address) for address in env.list("ADMINS", default=[])]
SERVER_EMAIL = env.str("SERVER_EMAIL", default="root@localhost")
EMAIL_TIMEOUT = 5
globals().update(mail_settings(env.str("EMAIL_URL", default="smtp://localhost:25")))

# --- Language, time, files ---

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"

STATIC_URL = f"{FORCE_SCRIPT_NAME or ''}/static/"
STATIC_ROOT: Path | None = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "zenow.static_files.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True  # files that were not collected are served too

# --- Security ---

AUTHENTICATION_BACKENDS = ["zenow.accounts.backends.SignInBackend"]
# The first one hashes; the others verify passwords that were hashed elsewhere (imported users, say).
PASSWORD_HASHERS = [
    "zenow.accounts.hashers.Argon2idHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Sessions are in the database: in the cache, a short failure of it would sign everybody out.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SECURE_HSTS_SECONDS = 0 if DEBUG else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEBUG
# TLS ends at a proxy. If one is named, its X-Forwarded-Proto is believed and plain HTTP is redirected. If
# none is, nothing answers on https: a redirect would lead nowhere, so Django's check for it is silenced.
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = not DEBUG
else:
    SILENCED_SYSTEM_CHECKS = ["security.W008"]
DEFAULT_EXCEPTION_REPORTER_FILTER = "zenow.reports.SecretFreeReporterFilter"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

# --- Logs ---

# By default Django logs nothing to a console while DEBUG is off. A server's errors belong on standard error.
# In production each line is a JSON object, so that a reader of the log can tell where a message ends.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": ["levelname", "name", "message"],
            "rename_fields": {"levelname": "level", "name": "logger"},
            "timestamp": True,
            # Django adds the request itself, whose address may contain personal data.
            "reserved_attrs": [*RESERVED_ATTRS, "request", "server_time"],
        },
    },
    "filters": {"request_id": {"()": "resilience.request.request_id.RequestIdFilter"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line" if DEBUG else "json",
            "filters": ["request_id"],
        }
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"django": {"handlers": [], "level": "INFO", "propagate": True}},
}
