"""The learning catalogue as a Django app."""

from django.apps import AppConfig


class LearnConfig(AppConfig):
    """Register the catalogue."""

    name = "learn"
    verbose_name = "Catalogue"

    def ready(self) -> None:
        """Register what `check` asks."""
        from learn import checks  # noqa: F401 (models are there only now)
