"""What the steward found wrong with the folders that a server writes."""

from typing import TYPE_CHECKING

from .layout import LARGE_COPY
from .versioned import Versioned

if TYPE_CHECKING:
    from .store import Store


class Folders:
    """What is wrong with the folders that a server writes, by name; "" for one that is well."""

    def __init__(self, store: "Store", at: int) -> None:
        self._value: Versioned[dict[str, str]] = Versioned(
            store, at, LARGE_COPY, {}, encode=lambda wrong: wrong, decode=lambda value: value
        )

    def read(self) -> dict[str, str]:
        """Return what was found last; a folder that was not tried yet is not in it."""
        return self._value.read()

    def write(self, wrong: dict[str, str]) -> bool:
        """Replace it, each text cut to 1,000 characters; False when the lock could not be had."""
        short = {name: why[:1000] for name, why in wrong.items()}
        return self._value.update(lambda _: short) is not None
