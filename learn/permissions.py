"""Who may write the catalogue."""

from rest_framework.permissions import SAFE_METHODS, DjangoModelPermissions
from rest_framework.request import Request
from rest_framework.views import APIView


class StaffWrites(DjangoModelPermissions):
    """Let everybody read, and let staff write if they have Django's permission for the model."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether this request may go on."""
        if request.method in SAFE_METHODS:
            return True
        return bool(request.user and request.user.is_staff) and super().has_permission(request, view)
