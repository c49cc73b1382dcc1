"""A stand-in for the partner that rates courses. It can be made to fail in many ways."""

import hashlib
import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.management.base import BaseCommand, CommandParser

CONTROL = "/-/mode"


def rating_of(slug: str) -> dict[str, Any]:
    """Return the partner's rating of a course: made up, and the same each time."""
    digest = hashlib.sha256(slug.encode()).digest()
    return {"slug": slug, "rating": round(1 + digest[0] / 255 * 4, 1), "votes": digest[1]}


class RatingsStub(ThreadingHTTPServer):
    """Answer `GET /<slug>` on a loopback port in the way of `mode`; `MODES` lists the modes.

    `PUT /-/mode?name=slow&seconds=5` changes the mode of the running server, `GET /-/mode` shows it.
    `requests` counts all other requests.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0, mode: str = "well", seconds: float = 5.0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.mode, self.seconds = mode, seconds
        self.requests = 0
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def server_close(self) -> None:
        self.ended.set()  # threads that are slow or silent stop waiting
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client has hung up, as it should in most modes.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: RatingsStub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if urlsplit(self.path).path == CONTROL:
            self.answer(200, {"name": self.server.mode, "seconds": self.server.seconds})
            return
        self.server.requests += 1
        MODES[self.server.mode](self)

    def do_PUT(self) -> None:
        address = urlsplit(self.path)
        asked = {name: values[-1] for name, values in parse_qs(address.query).items()}
        if address.path != CONTROL or asked.get("name") not in MODES:
            self.answer(404, {"detail": f"PUT {CONTROL}?name=…&seconds=…; names: {', '.join(MODES)}"})
            return
        self.server.mode = asked["name"]
        self.server.seconds = float(asked.get("seconds", self.server.seconds))
        self.do_GET()

    def answer(self, status: int, body: object, **headers: str) -> None:
        content = json.dumps(body).encode()
        self.head(status, len(content), **headers)
        self.wfile.write(content)

    def head(self, status: int, length: int, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass

    # --- The modes ---

    def well(self) -> None:
        self.answer(200, rating_of(unquote(urlsplit(self.path).path.strip("/"))))

    def slow(self) -> None:
        self.server.ended.wait(self.server.seconds)
        self.well()

    def silent(self) -> None:
        self.server.ended.wait()
        self.close_connection = True

    def broken(self) -> None:
        self.answer(500, {"detail": "broken on purpose"})

    def unknown(self) -> None:
        self.answer(404, {"detail": "no such course"})

    def garbage(self) -> None:
        content = b"<!doctype html><title>Welcome to nginx!</title>"
        self.head(200, len(content), kind="text/html")
        self.wfile.write(content)

    def wrong(self) -> None:
        self.answer(200, {"slug": "another", "rating": "five stars"})

    def cut(self) -> None:
        self.head(200, 1_000)
        self.wfile.write(b'{"slug": "')
        self.close_connection = True

    def dripping(self) -> None:
        self.head(200, 1_000_000)
        while not self.server.ended.wait(0.1):
            self.wfile.write(b" ")

    def huge(self) -> None:
        self.head(200, 10**12)
        while not self.server.ended.is_set():
            self.wfile.write(b" " * 65_536)

    def redirecting(self) -> None:
        self.answer(302, {}, Location=f"{self.server.url}/elsewhere")


MODES: dict[str, Callable[[_Handler], None]] = {
    mode.__name__: mode
    for mode in (
        _Handler.well,
        _Handler.slow,
        _Handler.silent,
        _Handler.broken,
        _Handler.unknown,
        _Handler.garbage,
        _Handler.wrong,
        _Handler.cut,
        _Handler.dripping,
        _Handler.huge,
        _Handler.redirecting,
    )
}


class Command(BaseCommand):
    help = "Serve made-up ratings on 127.0.0.1, well or broken: a stand-in partner for RATINGS_URL."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8099, help="0: any free port")
        parser.add_argument("--mode", choices=MODES, default="well")
        parser.add_argument("--seconds", type=float, default=5.0, help="how long an answer takes when slow")

    def handle(self, *args: Any, port: int, mode: str, seconds: float, **options: Any) -> None:
        with RatingsStub(port, mode, seconds) as stub:
            self.stdout.write(
                f"Set RATINGS_URL={stub.url}\n"
                f"Change how it answers: curl -X PUT '{stub.url}{CONTROL}?name=silent' ({', '.join(MODES)})"
            )
            self.stdout.flush()
            try:
                stub.serve_forever()
            except KeyboardInterrupt:
                self.stdout.write("Stopped.")
