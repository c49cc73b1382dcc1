"""Run the same work in several forked processes at once and collect what each one says."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

_context = multiprocessing.get_context("fork")
TIMEOUT = 120.0


class Workers:
    """Hold ``count`` forked processes, each running ``serve(connection, barrier)``; leaving ends them."""

    def __init__(self, count: int, serve: Callable[[Connection, Barrier], None]) -> None:
        barrier = _context.Barrier(count)
        pipes = [_context.Pipe() for _ in range(count)]
        self.connections = [ours for ours, _ in pipes]
        self._processes = [
            _context.Process(target=serve, args=(theirs, barrier), daemon=True) for _, theirs in pipes
        ]

    def __enter__(self) -> Workers:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.join()

    def ask(self, index: int, question: str) -> float:
        """Send one worker a question and return its answer."""
        self.connections[index].send(question)
        return self._answer(self.connections[index])

    def ask_all(self, question: str) -> list[float]:
        """Send every worker the question at once, then collect the answers."""
        for connection in self.connections:
            connection.send(question)
        return [self._answer(connection) for connection in self.connections]

    @staticmethod
    def _answer(connection: Connection) -> float:
        if not connection.poll(TIMEOUT):
            raise TimeoutError(f"a worker gave no answer within {TIMEOUT} s")
        answer: float = connection.recv()
        return answer
