"""End passes of people who sign out or may no longer steer. See Note [When a pass ends]."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.auth.signals import user_logged_out
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save

from resilience.db.transactions import after_commit
from resilience.operate import passes

# The columns of an account that a sign-in writes.
_SIGN_IN = {"last_login"}


def listen() -> None:
    """Connect to the signals of sign-outs, of changes of accounts, and of losses of permissions."""
    user: Any = get_user_model()
    user_logged_out.connect(_signed_out, dispatch_uid="resilience.departures")
    post_save.connect(_saved, sender=user, dispatch_uid="resilience.departures")
    post_delete.connect(_deleted, sender=user, dispatch_uid="resilience.departures")
    post_delete.connect(_group_deleted, sender=Group, dispatch_uid="resilience.operate.end_passes.group")
    holders = [(user, "groups"), (user, "user_permissions"), (Group, "permissions")]
    for model, name in holders:
        if hasattr(model, name):  # a project's own account model may lack it
            through = getattr(model, name).through
            m2m_changed.connect(_removed, sender=through, dispatch_uid=f"resilience.departures.{name}")


def _signed_out(sender: Any, *, user: Model | None, **_: Any) -> None:
    if user is not None:
        passes.end(str(user.pk))


def _saved(sender: Any, *, instance: Model, created: bool, using: str, update_fields: Any, **_: Any) -> None:
    if not created and set(update_fields or ()) != _SIGN_IN:
        _end(str(instance.pk), using)


def _deleted(sender: Any, *, instance: Model, using: str, **_: Any) -> None:
    _end(str(instance.pk), using)


def _group_deleted(sender: Any, *, using: str, **_: Any) -> None:
    _end(passes.EVERYBODY, using)


def _removed(sender: Any, *, action: str, using: str, **_: Any) -> None:
    """End all passes, since finding everybody who lost a permission with a group would take long.

    People who may still steer get a new pass when they next look.
    """
    if action in ("post_remove", "post_clear"):
        _end(passes.EVERYBODY, using)


def _end(key: str, using: str) -> None:
    # After the COMMIT: until then the database still confirms the holder.
    after_commit(partial(passes.end, key), using=using)
