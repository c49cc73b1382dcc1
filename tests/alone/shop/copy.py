"""What the static copy of the shop holds."""

from resilience.tiers.static_copy import Export, Resource

from .models import Product

EXPORT = Export(resources=[Resource(name="products", rows=Product._default_manager.all)])
