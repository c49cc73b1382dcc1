"""The README's project, with views that take the failure of an optional query lightly."""

from collections.abc import Mapping
from pathlib import Path

import requests

from tests.docs.shop import ShopServer

# What the optional query of a view is, by the header `X-Fault`.
_QUERIES = {
    "": ["SELECT 1"],
    # Killed by the test while it runs.
    "kill": ["SELECT pg_sleep(1.5) /* optional */"],
    # Cut by the budget.
    "cut": ["SELECT pg_sleep(0.3)"],
    # Ended by the server.
    "limit": ["SET LOCAL statement_timeout = 20", "SELECT pg_sleep(1.5)"],
    # More than SQLite keeps in memory, and more than the disk has.
    "disk": ["INSERT INTO products_audit (data) VALUES (zeroblob(4000000))"],
}

_MODELS = """
class Audit(models.Model):
    data = models.BinaryField()
"""

_VIEWS = f"""
from django.db import OperationalError, connection, transaction
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from resilience.primitives import deadline_scope

QUERIES = {_QUERIES!r}


def rest_of_the_view(request, title):
    fault = request.headers.get("X-Fault", "")
    try:
        with deadline_scope(0.05 if fault == "cut" else 5.0), connection.cursor() as cursor:
            for sql in QUERIES[fault]:
                cursor.execute(sql)
    except OperationalError:
        pass  # optional
    if "X-Then" in request.headers:
        Product.objects.create(title=title + ", second")


def perform_create(self, serializer):
    serializer.save()
    rest_of_the_view(self.request, serializer.data["title"])


ProductViewSet.perform_create = perform_create


@csrf_exempt
@transaction.atomic
def order(request):
    Product.objects.create(title=request.headers["X-Title"])
    rest_of_the_view(request, request.headers["X-Title"])
    return JsonResponse({{}}, status=201)
"""

_URLS = """
from products.views import order

urlpatterns += [path("order", order)]
"""


class KeptShop(ShopServer):
    """The project, migrated; its breaker of the database counts, and refuses nothing."""

    def __init__(
        self, directory: Path, database: Mapping[str, object] | None = None, settings: str = ""
    ) -> None:
        super().__init__(directory, database, settings)
        for name, code in (
            ("products/models.py", _MODELS),
            ("products/views.py", _VIEWS),
            ("shop/urls.py", _URLS),
        ):
            with (directory / name).open("a") as file:
                file.write(code)
        self.manage("makemigrations", "products").check_returncode()
        self.manage("migrate").check_returncode()

    def stay_closed(self) -> None:
        """Let the breaker refuse nothing: each write is to meet its fault."""
        order = ("disable", "database", "--reason", "each write is to meet its fault")
        self.manage("breakers", *order).check_returncode()

    def write(self, title: str, headers: Mapping[str, str], *, by_api: bool) -> requests.Response:
        """Send a write: to the README's view, or to a plain one in an atomic block."""
        if by_api:
            address, body = f"{self.url}/api/products/", {"title": title}
        else:
            address, body = f"{self.url}/order", {}
        headers = {**headers, "X-Title": title}
        return requests.post(address, json=body, headers=headers, timeout=30)
