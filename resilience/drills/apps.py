from django.apps import AppConfig


class DrillsConfig(AppConfig):
    name = "resilience.drills"
    label = "resilience_drills"
