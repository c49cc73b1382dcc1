"""Read the body of a reset, JSON or a form. It is read strictly, since an empty one means all breakers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, QueryDict

from resilience.operate.orders import NAMES, REASON, Order
from resilience.problems import (
    ProblemError,
    TooLargeError,
    UnsupportedTypeError,
    unknown_members,
    wrong_members,
)

MEMBERS = ("breakers", "reason")
NAME = 64
"""The most letters of a name."""
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def order_from(request: HttpRequest) -> Order:
    """Return the order in the body; an empty body, of any type, means all breakers.

    Raises `ProblemError` with a pointer to each wrong member.
    """
    said = _said(request)
    if not isinstance(said, Mapping):
        found = "nothing" if said is None else type(said).__name__
        raise wrong_members({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {found}."]})
    names = said.getlist("breakers") if isinstance(said, QueryDict) else said.get("breakers", [])
    reason = said.get("reason", "")
    wrong: dict[str, Any] = {
        "breakers": _wrong_with_names(names),
        "reason": list(_wrong_with(reason, REASON)),
        **unknown_members([name for name in said if name not in MEMBERS], known=MEMBERS),
    }
    if any(wrong.values()):
        raise wrong_members(wrong)
    return Order("reset", [str(name).strip() for name in names], str(reason).strip())


def _said(request: HttpRequest) -> Any:
    try:
        return _read(request)
    except RequestDataTooBig as error:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raise TooLargeError(f"The body has more than {limit:,} bytes.") from error


def _read(request: HttpRequest) -> Any:
    if request.content_type in FORMS:
        return request.POST
    if not request.body:
        return {}
    if request.content_type != "application/json":
        kind = request.headers.get("Content-Type", "")
        takes = ("application/json", *FORMS)
        raise UnsupportedTypeError(f'Unsupported media type "{kind}" in request.', takes=takes)
    try:
        said = json.loads(request.body.decode("utf-8-sig"))
        json.dumps(said, ensure_ascii=False, allow_nan=False).encode()  # no NaN, no lone surrogate
    except (ValueError, RecursionError) as error:
        raise ProblemError(f"The body is no JSON: {error}.") from error
    return said


def _wrong_with_names(names: Any) -> list[str] | dict[int, list[str]]:
    if names is None:
        return ["This field may not be null."]
    if not isinstance(names, list):
        return [f'Expected a list of items but got type "{type(names).__name__}".']
    found = {index: wrong for index, name in enumerate(names) if (wrong := list(_wrong_with(name, NAME, 1)))}
    if not found and len(names) > NAMES:
        return [f"Ensure this field has no more than {NAMES} elements."]
    return found


def _wrong_with(text: Any, most: int, least: int = 0) -> Iterator[str]:
    if text is None:
        yield "This field may not be null."
    elif isinstance(text, bool) or not isinstance(text, str | int | float):
        yield "Not a valid string."
    elif len(bare := str(text).strip()) < least:
        yield "This field may not be blank."
    else:
        if len(bare) > most:
            yield f"Ensure this field has no more than {most} characters."
        if "\0" in bare:
            yield "Null characters are not allowed."
