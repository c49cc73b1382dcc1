"""What a Redis client's values go through."""

from typing import Any

from resilience.cache import codec
from resilience.cache.codec import Stored, UndecodableError


class Serializer:
    """Leave alone what the cache has encoded; encode and decode anything else by the codec, never by pickle.

    Members of sets, hashes and sorted sets come here as they are. They are always JSON, since the server
    compares them by their bytes, and moves them from one key to another.
    """

    def __init__(self, options: Any = None) -> None:
        pass

    def dumps(self, value: Any) -> bytes:
        if type(value) is Stored:
            return value
        encoded = codec.encode(value)
        return str(encoded).encode() if isinstance(encoded, int) else encoded

    def loads(self, raw: bytes) -> Any:
        """Return the value; what the codec has not written comes back as `Stored`, for the cache to judge."""
        try:
            if raw.removeprefix(b"-").isdigit():
                return int(raw)
            return codec.decode(raw)
        except (UndecodableError, ValueError):
            return Stored(raw)
