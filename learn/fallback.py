"""What the static copy holds of the catalogue, and the rows that stand in while there is no export."""

from collections.abc import Iterator
from pathlib import Path

from django.db.models import Model

from learn.models import Category, Course, Field
from learn.normalise import FOLDING
from resilience.tiers.static_copy import Export, Resource

_FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


def sample() -> Iterator[Model]:
    """Yield a small made-up catalogue. Each title says that it is a sample."""
    for number in range(1, 4):
        yield Category(pk=number, slug=f"sample-category-{number}", title=f"Sample category {number}")
        yield Field(
            pk=number, slug=f"sample-field-{number}", title=f"Sample field {number}", category_id=number
        )
    for number in range(1, 61):
        yield Course(
            pk=number,
            slug=f"sample-course-{number}",
            code=f"SAMPLE-{number}",
            title=f"Sample course {number}",
            summary="Generated for development.",
            field_id=1 + number % 3,
            level=("100", "200", None)[number % 3],
            credits=number % 4,
        )


EXPORT = Export(
    version=f"folding {FOLDING}",
    resources=(
        Resource(name="categories", rows=Category.objects.public),
        Resource(name="fields", rows=Field.objects.public),
        Resource(name="courses", rows=Course.objects.public),
    ),
    fixtures=tuple(_FIXTURES / f"{name}.json" for name in ("categories", "fields", "courses")),
    sample=sample,
)
