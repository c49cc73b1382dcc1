"""The ASGI entry point. It makes the process a server, so that its calls are guarded (RESILIENCE_ROLE)."""

import os

from django.core.asgi import get_asgi_application

from resilience.tiers.static_copy import keeping
from zenow.charsets import known_to_asgi
from zenow.server.memory import give_back_large_blocks

os.environ.setdefault("RESILIENCE_ROLE", "server")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zenow.settings.base")

give_back_large_blocks()
application = known_to_asgi(get_asgi_application())
# Make sure of a static copy, so that a server that starts during an outage can answer.
keeping.start.prepare()
