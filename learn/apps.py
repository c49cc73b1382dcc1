"""The learning catalogue as a Django app."""

from django.apps import AppConfig


class LearnConfig(AppConfig):
    """Register the catalogue."""

    name = "learn"
    verbose_name = "Catalogue"

    def ready(self) -> None:
        """Register what `check` asks, and describe the limits of parameters to the schema."""
        from learn import checks, schema  # noqa: F401 (models are there only now)
