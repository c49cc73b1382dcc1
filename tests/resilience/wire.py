"""Servers of a few lines on a loopback port, and a watch on how long a client waits for them."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from resilience.primitives.deadline import deadline_scope
from tests.patience import ROOM

Serve = Callable[[socket.socket, threading.Event], None]


@contextmanager
def serving(serve: Serve) -> Iterator[int]:
    """Accept one connection at a time on a port of its own, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        ended = threading.Event()

        def run() -> None:
            while not ended.is_set():
                try:
                    client, _ = listener.accept()
                except TimeoutError:
                    continue
                client.settimeout(5)
                with client:
                    try:
                        serve(client, ended)
                    except OSError:
                        continue

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def drip(client: socket.socket, ended: threading.Event) -> None:
    while not ended.wait(0.02):
        client.sendall(b"x")


def stay_silent(client: socket.socket, ended: threading.Event) -> None:
    ended.wait()


@contextmanager
def taking_at_most(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started <= seconds + ROOM


@contextmanager
def deadline_kept(seconds: float) -> Iterator[None]:
    with deadline_scope(seconds), taking_at_most(seconds + 0.3):
        yield
