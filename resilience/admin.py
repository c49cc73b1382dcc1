"""Breakers and events in the admin: a list of breakers to steer, and a list of events to search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from resilience import registry
from resilience.models import Breaker, Event
from resilience.observe import health
from resilience.operate.orders import ENDS, PERMISSION, WORDS, Order, OrderError, StoreBusyError, steer


class LookedAt(admin.ModelAdmin):  # type: ignore[type-arg]
    """A list of what nobody adds, changes or deletes in the admin."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False


class BreakerFilter(admin.AllValuesFieldListFilter):
    """Filter events by breaker. Events without a breaker have a choice, too."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield the choices; the empty one is called "no breaker"."""
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or "no breaker"}


@admin.register(Event)
class EventAdmin(LookedAt):
    """Events of all hosts of this site, as far as they are copied from the hosts' journals."""

    list_display = ["at", "kind", "breaker", "change", "who", "why", "host"]
    list_filter = ["kind", ("breaker", BreakerFilter), "host"]
    search_fields = ["kind", "breaker", "who", "why", "host"]
    date_hierarchy = "at"
    list_per_page = 50
    show_full_result_count = False
    readonly_fields = ["at", "kind", "breaker", "change", "who", "why", "host", "data", "id"]

    class Media:
        css: ClassVar = {"all": ["resilience/links.css"]}

    @admin.display(description="change")
    def change(self, event: Event) -> str:
        """Return the states before and after for a transition or an order; else the event's data."""
        data = event.data
        if "after" in data:
            change = f"{data.get('before', '')} → {data['after']}"
            return ": ".join(filter(None, (change, data.get("reason", ""), data.get("cause", ""))))
        return ", ".join(f"{name} {value}" for name, value in data.items())


@admin.register(Breaker)
class BreakerAdmin(LookedAt):
    """The breakers of this host, from its store. To steer: tick some, choose an action, give a reason."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """List the breakers; ask for the reason of an action, then carry it out."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        wanted = request.GET.get("q", "").strip().lower()
        rows = [health.breaker(each.snapshot()) for each in registry.breakers().values()]
        context = {
            **self.admin_site.each_context(request),
            "title": "Circuit breakers",
            "opts": self.opts,
            "rows": [row for row in rows if wanted in row["name"].lower()],
            "q": wanted,
            "actions": WORDS,
            "ends": ENDS,
            "in_shadow": health.in_shadow(),
        }
        if request.method != "POST":
            return TemplateResponse(request, "admin/resilience/breaker/list.html", context)
        try:
            order = Order.from_form(request.POST)
            word = WORDS[order.action]
            if "confirmed" not in request.POST:
                context |= {"title": f"{word}: circuit breakers", "order": order, "word": word}
                return TemplateResponse(request, "admin/resilience/breaker/confirm.html", context)
            found = steer(order, who=request.user.get_username())
        except (OrderError, StoreBusyError) as error:
            self.message_user(request, f"{error}", "ERROR")
        else:
            self.message_user(request, f"{word}: {', '.join(one.name for one in found)}.")
        return HttpResponseRedirect(request.path)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> None:
        """Return None: a breaker has no row, so a page of one leads back to the index."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Tell whether to show the list: to people who may steer."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Breaker | None = None) -> bool:
        """Tell whether the user may steer: only then may they look."""
        return request.user.has_perm(PERMISSION)
