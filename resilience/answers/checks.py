"""The check that pages of plain views have a place for their notice, where that can be known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Info
from django.template import TemplateDoesNotExist
from django.template.base import Node
from django.template.library import SimpleNode
from django.template.loader import get_template
from django.template.loader_tags import ExtendsNode, IncludeNode
from django.urls import get_resolver

from resilience.answers import views

_TAG = "degradation"
_LIBRARY = "resilience.templatetags.resilience"


def check_marks(**_: Any) -> Iterator[CheckMessage]:
    """I090: the template that a resilient class names holds `{% degradation %}`."""
    get_resolver().url_patterns  # noqa: B018  # makes the views
    for plain in views.made:
        initial = getattr(plain.view, "view_initkwargs", {})
        kind = getattr(plain.view, "view_class", None)
        name = initial.get("template_name") or getattr(kind, "template_name", None)
        if plain.same_for_everybody and isinstance(name, str) and not _has_mark(name):
            yield Info(
                f"The page of {plain.name} has no place for a notice in an outage: {name}.",
                hint="Add {% load resilience %} and {% degradation %} to it, or to its base template. "
                "Else only the headers say that it is not of today.",
                id="resilience.I090",
            )


def _has_mark(name: str) -> bool:
    """Tell whether a template, or one that it extends or includes, has the tag; of an unknown one, yes."""
    try:
        template = getattr(get_template(name), "template", None)
    except TemplateDoesNotExist:
        return True
    nodes = getattr(template, "nodelist", None)
    if nodes is None:
        return True  # of another engine
    if any(map(_is_mark, nodes.get_nodes_by_type(SimpleNode))):
        return True
    others = [node.parent_name for node in nodes.get_nodes_by_type(ExtendsNode)]
    others += [node.template for node in nodes.get_nodes_by_type(IncludeNode)]
    return any(not isinstance(other.var, str) or _has_mark(other.var) for other in others)


def _is_mark(node: Node) -> bool:
    function = getattr(node, "func", None)
    return (getattr(function, "__module__", ""), getattr(function, "__name__", "")) == (_LIBRARY, _TAG)
