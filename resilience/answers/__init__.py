"""What a project's views are made of: reads, plain views, writes, their bodies, and the 503.

Its two names are found once they are asked for: what a WSGI entry imports from here, such as `bodies`, it
imports before Django has loaded the models.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resilience.answers.views import ResilientView as ResilientView
    from resilience.answers.views import resilient as resilient

_OF_VIEWS = ("ResilientView", "resilient")


def __getattr__(name: str) -> Any:
    if name not in _OF_VIEWS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("resilience.answers.views"), name)
