"""The stand-in partner, in a thread of the suite or as a process that can be killed and stopped."""

import http.client
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from learn.management.commands.ratings_stub import CONTROL, RatingsStub
from tests.servers.process import ServerProcess
from tests.servers.site import ROOT


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


class PartnerServer(ServerProcess):
    """`manage.py ratings_stub`."""

    def command(self) -> list[str | Path]:
        return [sys.executable, ROOT / "manage.py", "ratings_stub", "--port", str(self.port)]

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", CONTROL)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
