"""Each extra alone, with no packages but its own: what it brings works."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.alone.environment import Environment, built
from tests.servers import PostgresServer, RedisServer

# The distributions of each extra, with those that they need in turn.
PACKAGES = {
    "postgres": ("psycopg", "psycopg-binary", "typing_extensions"),
    "redis": ("django-redis", "redis", "orjson", "typing_extensions"),
    "drf": ("djangorestframework",),
    "http": ("requests", "urllib3", "idna", "certifi", "charset-normalizer"),
    "metrics": ("prometheus_client",),
}
Make = Callable[[str], Environment]


@pytest.fixture(scope="module")
def having(tmp_path_factory: pytest.TempPathFactory) -> Make:
    wheel = built(tmp_path_factory.mktemp("wheel"))
    return lambda extra: Environment(tmp_path_factory.mktemp(extra), wheel, *PACKAGES[extra])


@pytest.fixture
def partner() -> Iterator[str]:
    """The address of a partner that answers JSON."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"left": 3}')

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def services(met: Mapping[str, Any]) -> list[str]:
    return list(json.loads(met["health"][2])["services"])


def test_postgres_brings_the_engine(having: Make, postgres: PostgresServer) -> None:
    parts = urlsplit(postgres.url)
    place = {
        "ENGINE": "resilience.db.postgresql",
        "NAME": parts.path.strip("/"),
        "USER": parts.username,
        "PASSWORD": parts.password,
        "HOST": parts.hostname,
        "PORT": parts.port,
    }
    met = having("postgres").tour(DATABASES={"default": place})
    assert (met["healthy"][0], met["refused"][0], met["back"][0]) == (200, 503, 200)
    assert "psycopg" in met["loaded"]
    assert {"redis", "requests", "rest_framework"}.isdisjoint(met["loaded"])


def test_redis_brings_a_guarded_cache(having: Make, redis_server: RedisServer) -> None:
    cache = {
        "BACKEND": "resilience.cache.ResilientCache",
        "LOCATION": redis_server.url,
        "OPTIONS": {"INNER": "django_redis.cache.RedisCache"},
    }
    environment = having("redis")
    met = environment.tour(CACHES={"default": cache})
    assert services(met) == ["database", "cache"]
    assert {"psycopg", "requests", "rest_framework"}.isdisjoint(met["loaded"])
    code = (
        "import django; django.setup(); from django.core.cache import cache;"
        "cache.set('k', {'a': 1}); print(cache.get('k'))"
    )
    assert environment.run("-c", code, CACHES={"default": cache}).stdout == "{'a': 1}\n"


def test_drf_brings_views_with_stand_ins(having: Make, tmp_path: Path) -> None:
    environment = having("drf")
    (environment.project / "shop" / "views.py").write_text(
        "from rest_framework.generics import GenericAPIView\n"
        "from rest_framework.response import Response\n"
        "from resilience.answers.reads import ResilientReads\n"
        "from shop.models import Product\n\n\n"
        "class Products(ResilientReads, GenericAPIView):\n"
        "    same_for_everybody = True\n"
        "    permission_classes = authentication_classes = []\n\n"
        "    def get(self, request):\n"
        "        return Response({'products': [each.title for each in Product.objects.all()]})\n\n\n"
        "products = shelf = Products.as_view()\n"
    )
    met = environment.tour(
        REST_FRAMEWORK={
            "EXCEPTION_HANDLER": "resilience.problems.exception_handler",
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        }
    )
    assert met["healthy"][1]["X-Data-Source"] == "live"
    assert (met["refused"][0], met["refused"][1]["X-Data-Source"]) == (200, "cached")
    assert json.loads(met["refused"][2])["products"] == ["Chair"]
    assert {"psycopg", "requests", "redis"}.isdisjoint(met["loaded"])


def test_http_brings_a_guarded_session(having: Make, partner: str) -> None:
    code = (
        "import django; django.setup(); from resilience.http import session;"
        f"print(session('external_api').get_json({partner!r}, expect=lambda said: said['left']))"
    )
    ran = having("http").run("-c", code)
    assert ran.stdout == "3\n", ran.stderr


def test_metrics_brings_their_address(having: Make) -> None:
    met = having("metrics").tour(RESILIENCE={"METRICS_PATH": "/metrics"})
    assert met["metrics"][0] == 200
    assert 'resilience_breaker_state{breaker="database",state="CLOSED"} 1.0' in met["metrics"][2]
    assert {"psycopg", "requests", "redis", "rest_framework"}.isdisjoint(met["loaded"])
