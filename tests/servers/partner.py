"""The stand-in partner, in a thread of the suite."""

import threading
from types import TracebackType
from typing import Self

from learn.management.commands.ratings_stub import RatingsStub


class Partner(RatingsStub):
    """A partner that answers until the block ends. Set `mode` to break it."""

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()
