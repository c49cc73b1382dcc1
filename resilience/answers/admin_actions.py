"""Actions of the admin's lists, each as one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import router, transaction
from django.http import HttpResponse

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = object


class AtomicActions(_Admin):
    """Mix in before `ModelAdmin`: what an action writes is stored whole or not at all.

    Django's own deletion writes its log in one transaction and deletes in a second. After an outage in
    between, the log would name rows as deleted that are still there.
    """

    def response_action(self, *args: Any, **options: Any) -> HttpResponse | None:
        """Run the chosen action in a transaction."""
        with transaction.atomic(using=router.db_for_write(self.model)):
            answer: HttpResponse | None = super().response_action(*args, **options)
            return answer
