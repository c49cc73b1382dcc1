"""Members of a request's body: an unknown one is refused by name, a read-only one must be unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from rest_framework import serializers

from resilience.problems import unknown_members


class StrictMembers(serializers.Serializer[Any]):
    """Mix in before a serializer: a misspelt member is an error. DRF would ignore it.

    The body that GET gave may be sent back: a read-only member is accepted if its value is unchanged. If not,
    it is an error, with the sentence of `elsewhere` if there is one. A serializer that updates rows defines
    `present()`; without it, and for a new row, no read-only member is accepted.
    """

    # By read-only member, a sentence on where to change it.
    elsewhere: ClassVar[Mapping[str, str]] = {
        "degradation": "The answer that held it stood in for the database: read the entry again.",
    }

    def present(self) -> Mapping[str, Any]:
        """Return the present values of the read-only members, by name."""
        return {}

    def to_internal_value(self, data: Any) -> Any:
        """Return the values of the members; raise `ValidationError` with all that are wrong."""
        refused = dict(self._refused(data)) if isinstance(data, Mapping) else {}
        try:
            taken = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if refused and isinstance(error.detail, dict):
                raise serializers.ValidationError(error.detail | refused) from error
            raise
        if refused:
            raise serializers.ValidationError(refused)
        return taken

    def _refused(self, data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        known = [name for name, field in self.fields.items() if not field.read_only]
        unknown = [name for name in data if name not in self.fields and name not in self.elsewhere]
        yield from unknown_members(unknown, known=known).items()
        fixed = [name for name in data if name not in known and name not in unknown]
        there = self.present() if fixed and self.instance is not None else {}
        for name in fixed:
            if name not in there or not self._is(there[name], name, data[name]):
                said = (
                    "It cannot be given here."
                    if self.instance is None
                    else "It is read-only, and was otherwise."
                )
                yield name, [f"{said} {self.elsewhere.get(name, '')}".rstrip()]

    def _is(self, value: Any, name: str, given: Any) -> bool:
        try:
            return bool(self.fields[name].to_internal_value(given) == value)
        except serializers.ValidationError:
            return False
