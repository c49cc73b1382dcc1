"""Plain views of Django's that read the database."""

from django.http import HttpRequest, JsonResponse

from resilience.answers import resilient

from .models import Product


def products(request: HttpRequest) -> JsonResponse:
    """List the products, from the database alone."""
    return JsonResponse({"products": [each.title for each in Product._default_manager.order_by("id")]})


shelf = resilient(same_for_everybody=True)(products)
