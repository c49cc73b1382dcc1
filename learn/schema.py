"""Describe in the schema what the lists' parameters allow. Importing this module registers it."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.contrib.django_filters import DjangoFilterExtension


class LimitedFilters(DjangoFilterExtension):  # type: ignore[no-untyped-call]
    """Add the limits of a filter's text, and that an empty value is taken as none."""

    target_class = "learn.filters.StrictFilterBackend"
    priority = 1  # above that of all filters

    def resolve_filter_field(self, *context: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().resolve_filter_field(*context)  # type: ignore[no-untyped-call]
        given = context[-1].extra
        for parameter in parameters:
            parameter["allowEmptyValue"] = True
            if "max_length" in given:
                parameter["schema"]["maxLength"] = given["max_length"]
            for validator in given.get("validators", ()):
                if isinstance(validator, RegexValidator):
                    pattern: Any = validator.regex  # compiled
                    parameter["schema"]["pattern"] = pattern.pattern.replace(r"\Z", "$")
        return parameters
