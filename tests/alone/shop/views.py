"""A plain view of Django's that reads the database."""

from django.http import HttpRequest, JsonResponse

from .models import Product


def products(request: HttpRequest) -> JsonResponse:
    """List the products."""
    return JsonResponse({"products": [product.title for product in Product._default_manager.order_by("id")]})
