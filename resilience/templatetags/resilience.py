"""Template tags: `{% load resilience %}`."""

from django import template
from django.utils.safestring import SafeString, mark_safe

from resilience.tiers import notice

register = template.Library()


@register.simple_tag
def degradation() -> SafeString:
    """Leave the place for the notice of a degraded page; a page that is not degraded has nothing there.

    Only pages of `resilient` views have a notice. Use it where a paragraph may stand.
    """
    return mark_safe(notice.mark())  # noqa: S308  # hexadecimal digits
