"""META and the headers of a request, with a note of each entry that is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.http.request import HttpHeaders


class NotedMeta(dict[str, Any]):
    """META with a note of each entry that is read."""

    def __init__(self, values: dict[str, Any], noted: Callable[[str], None]) -> None:
        super().__init__(values)
        self._noted = noted

    def __getitem__(self, name: str) -> Any:
        self._noted(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._noted(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._noted(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        self._noted(name)
        return super().pop(name, *default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        self._noted(name)
        return super().setdefault(name, default)

    def _all(self) -> None:
        self._noted("all of META")

    def __iter__(self) -> Iterator[str]:
        self._all()
        return super().__iter__()

    def __reversed__(self) -> Iterator[str]:
        self._all()
        return super().__reversed__()

    def __eq__(self, other: object) -> bool:
        self._all()
        return super().__eq__(other)

    def __or__(self, other: Any) -> Any:
        self._all()
        return super().__or__(other)

    def __ror__(self, other: Any) -> Any:
        self._all()
        return super().__ror__(other)

    def __repr__(self) -> str:
        self._all()
        return super().__repr__()

    def keys(self) -> Any:
        self._all()
        return super().keys()

    def values(self) -> Any:
        self._all()
        return super().values()

    def items(self) -> Any:
        self._all()
        return super().items()

    def popitem(self) -> tuple[str, Any]:
        self._all()
        return super().popitem()

    def copy(self) -> dict[str, Any]:
        self._all()
        return super().copy()


class NotedHeaders(HttpHeaders):
    """The headers of a request with a note of each that is read."""

    def __init__(self, values: dict[str, Any], noted: Callable[[str], None]) -> None:
        super().__init__(values)
        self._noted = noted

    def __getitem__(self, name: str) -> str:
        self._noted(name)
        value: str = super().__getitem__(name)
        return value

    def __iter__(self) -> Iterator[str]:
        self._noted("all of the headers")
        return super().__iter__()

    def __len__(self) -> int:
        self._noted("all of the headers")
        return super().__len__()

    def __repr__(self) -> str:
        self._noted("all of the headers")
        return super().__repr__()

    def __eq__(self, other: object) -> bool:
        self._noted("all of the headers")
        return super().__eq__(other)

    def copy(self) -> Any:
        self._noted("all of the headers")
        return self
