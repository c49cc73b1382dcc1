"""What people are told of a real outage: when it begins and when it ends, however many requests meet it."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from tests.faultproxy import FaultProxy
from tests.functional.outages import Site
from tests.servers import PostgresServer


@contextmanager
def webhook(busy: threading.Event) -> Iterator[tuple[str, list[str], list[str]]]:
    """Take what is posted; yield the address, the texts, and those that were refused while it was busy."""
    posted: list[str] = []
    refused: list[str] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
            if busy.is_set():
                refused.append(text)
                self.send_response(429)
                self.send_header("Retry-After", "2")
            else:
                posted.append(text)
                self.send_response(200)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", posted, refused
        finally:
            server.shutdown()


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60.0
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    """Though the webhook asks for a pause at first, and the steward is killed before it takes anything."""
    busy = threading.Event()
    busy.set()
    with (
        PostgresServer() as server,
        FaultProxy(server.port) as proxy,
        webhook(busy) as (url, posted, refused),
    ):
        site = Site(server, proxy)
        site.variables["ALERT_WEBHOOK_URL"] = url
        assert site.manage("migrate", "--verbosity=0").returncode == 0
        with site:
            site.ask()
            proxy.set("refuse")
            wait(lambda: site.ask().source == "static" and any("opened" in text for text in refused))
            (steward,) = re.findall(r"process (\d+) is the steward", site.log.read_text())
            os.kill(int(steward), signal.SIGKILL)
            busy.clear()
            wait(lambda: any("opened" in text for text in posted))
            for _ in range(50):
                site.ask()
            wait(lambda: any("static copy" in text for text in posted))
            wait(lambda: "the chore generation waits for the end of an outage" in site.log.read_text())
            proxy.set("pass")
            wait(lambda: any("recovered" in text for text in posted))
            # The steward's chores meet the outage too: it is no bug, whose place in the code one would want.
            assert "Traceback" not in site.log.read_text()
            assert url not in site.log.read_text()
    about_database = [text.partition("] database: ")[2].split()[0] for text in posted if "database" in text]
    # The second may end between two failures: then half of them are told of first.
    assert [word.strip(";") for word in about_database if word not in ("2", "1")] == ["opened", "recovered"]
    assert sum("static copy" in text for text in posted) == 1
