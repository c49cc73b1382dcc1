"""Accounts, their sign-ins to the API and known addresses, for staff."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from resilience.answers.admin_actions import AtomicActions
from zenow.accounts.models import KnownAddress, RefreshFamily

# Importing Django's own admin has registered them.
admin.site.unregister((User, Group))


@admin.register(User)
class UserAdmin(AtomicActions, DjangoUserAdmin):  # type: ignore[type-arg]
    pass


@admin.register(Group)
class GroupAdmin(AtomicActions, DjangoGroupAdmin):
    pass


@admin.register(RefreshFamily)
class RefreshFamilyAdmin(AtomicActions, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["user", "created_at", "rotated_at", "expires_at", "ended_at", "ended_because"]
    list_filter = ["ended_because"]
    list_select_related = ["user"]
    search_fields = ["user__username"]
    date_hierarchy = "created_at"
    fields = ["user", "created_at", "rotated_at", "expires_at", "ended_at", "ended_because"]
    readonly_fields = ["user", "created_at", "rotated_at", "expires_at", "ended_at", "ended_because"]
    actions = ["revoke"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: only a sign-in makes such a row."""
        return False

    @admin.action(description="Revoke the selected sign-ins", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[RefreshFamily]) -> None:
        """End them: refresh tokens stop working at once, access tokens within ten minutes."""
        ended = queryset.filter(ended_at=None).update(
            ended_at=timezone.now(), ended_because=RefreshFamily.End.REVOKED
        )
        self.message_user(request, f"{ended} sign-ins revoked.")


@admin.register(KnownAddress)
class KnownAddressAdmin(AtomicActions, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["user", "address", "seen_at"]
    list_select_related = ["user"]
    search_fields = ["user__username", "address"]
    fields = ["user", "address", "seen_at"]
    readonly_fields = ["user", "address", "seen_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: only a sign-in makes an address known."""
        return False
