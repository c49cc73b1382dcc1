"""Sign-ins to the API and known addresses, for staff: see them, revoke them."""

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from zenow.accounts.models import KnownAddress, RefreshFamily


@admin.register(RefreshFamily)
class RefreshFamilyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["user", "created_at", "rotated_at", "expires_at", "ended_at", "ended_because"]
    list_filter = ["ended_because"]
    list_select_related = ["user"]
    search_fields = ["user__username"]
    date_hierarchy = "created_at"
    fields = ["user", "created_at", "rotated_at", "expires_at", "ended_at", "ended_because"]
    readonly_fields = ["user", "created_at", "rotated_at", "expires_at", "ended_at", "ended_because"]
    actions = ["revoke"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: only signing in makes a sign-in."""
        return False

    @admin.action(description="Revoke the selected sign-ins", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[RefreshFamily]) -> None:
        """End them: their refresh tokens work no longer, their access tokens run out within ten minutes."""
        with transaction.atomic():
            ended = queryset.filter(ended_at=None).update(
                ended_at=timezone.now(), ended_because=RefreshFamily.End.REVOKED
            )
        self.message_user(request, f"{ended} sign-ins revoked.")


@admin.register(KnownAddress)
class KnownAddressAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["user", "address", "seen_at"]
    list_select_related = ["user"]
    search_fields = ["user__username", "address"]
    fields = ["user", "address", "seen_at"]
    readonly_fields = ["user", "address", "seen_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: only signing in makes an address known."""
        return False
