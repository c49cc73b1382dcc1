"""The learning catalogue as a Django app."""

from django.apps import AppConfig


class LearnConfig(AppConfig):
    """Register the catalogue."""

    name = "learn"
    verbose_name = "Catalogue"
