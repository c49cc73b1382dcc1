"""What the catalogue accepts in its columns."""

from decimal import Decimal

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator, URLValidator

from learn.normalise import slugify

SLUG_LENGTH = 120
TITLE_LENGTH = 300
LEVEL_LENGTH = 50
TERMS = 100
TERM_LENGTH = 50

NOT_NEGATIVE = MinValueValidator(Decimal(0))
WEB_ADDRESS = URLValidator(schemes=["http", "https"])
validate_language = RegexValidator(
    r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*\Z", "Give a language tag such as en, pt-br or zh-hant."
)


def validate_slug(value: str) -> None:
    """Allow lower-case letters, marks and digits of any script, and single hyphens between them."""
    if not value or value != slugify(value, max_length=SLUG_LENGTH):
        raise ValidationError("Use lower-case letters and digits of any script, joined by single hyphens.")


def validate_terms(value: object) -> None:
    """Allow a list of at most `TERMS` short, non-empty texts."""
    if not isinstance(value, list) or len(value) > TERMS:
        raise ValidationError(f"Give a list of at most {TERMS} terms.")
    for term in value:
        if not isinstance(term, str) or not term.strip() or len(term) > TERM_LENGTH or "\0" in term:
            raise ValidationError(f"Each term is a text of 1 to {TERM_LENGTH} characters.")
