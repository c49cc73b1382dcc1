"""The ASGI entry point: a server process, whose calls count and are refused (RESILIENCE_ROLE)."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("RESILIENCE_ROLE", "server")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zenow.settings.base")

application = get_asgi_application()
