"""The history in the admin: a list to search in, which nobody changes."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from resilience.models import Event


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What happened on the hosts of this site, as far as it was copied from their journals."""

    list_display = ["at", "kind", "breaker", "change", "who", "why", "host"]
    list_filter = ["kind", "breaker", "host"]
    search_fields = ["kind", "breaker", "who", "why", "host"]
    date_hierarchy = "at"
    list_per_page = 50
    show_full_result_count = False
    readonly_fields = ["at", "kind", "breaker", "change", "who", "why", "host", "data", "id"]

    @admin.display(description="change")
    def change(self, event: Event) -> str:
        """Say what became of the breaker, in a transition or an order; else what the event tells."""
        data = event.data
        if "after" in data:
            return f"{data.get('before', '')} → {data['after']}: {data.get('reason', '')}"
        return ", ".join(f"{name} {value}" for name, value in data.items())

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say that events happen, and are not added."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        """Say that what happened stays as it was."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        """Say that the steward alone deletes, what is old."""
        return False
