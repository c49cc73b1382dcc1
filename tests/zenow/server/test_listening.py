"""Which worker's queue a new connection comes into."""

import os
import socket
from collections import Counter

import pytest

from tests.servers.process import free_port
from zenow.server.listening import Listeners


def taken(listeners: Listeners, port: int, connections: int) -> Counter[int]:
    """Connect so often, and return how many came into each queue."""
    queues = [socket.socket(fileno=os.dup(number)) for number in listeners.descriptors()]
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    counted: Counter[int] = Counter()
    for number, queue in enumerate(queues):
        queue.setblocking(False)
        while True:
            try:
                queue.accept()[0].close()
            except BlockingIOError:
                break
            counted[number] += 1
        queue.close()
    for client in clients:
        client.close()
    return counted


class TestListeners:
    def test_share_connections_out_among_all(self) -> None:
        port = free_port()
        with Listeners("127.0.0.1", port, count=3) as listeners:
            counted = taken(listeners, port, 120)
        assert sum(counted.values()) == 120
        assert min(counted[number] for number in range(3)) >= 10

    @pytest.mark.parametrize("workers", [{1}, {0, 2}])
    def test_lead_past_a_worker_that_has_died(self, workers: set[int]) -> None:
        port = free_port()
        with Listeners("127.0.0.1", port, count=3) as listeners:
            listeners.lead_to(workers)
            assert set(taken(listeners, port, 60)) == workers
            listeners.lead_to({0, 1, 2})
            assert set(taken(listeners, port, 60)) == {0, 1, 2}

    def test_make_connections_to_one_worker_whoever_is_led_past_it(self) -> None:
        port = free_port()
        with Listeners("127.0.0.1", port, count=3) as listeners:
            listeners.lead_to({1})
            mine = [listeners.connection_to(2) for _ in range(20)]
            assert taken(listeners, port, 30) == {1: 30, 2: 20}
        for each in mine:
            each.close()

    def test_make_no_connection_to_one_worker_on_an_address_of_ipv6_alone(self) -> None:
        with (
            Listeners("::1", free_port(), count=2) as listeners,
            pytest.raises(OSError, match="not supported"),
        ):
            listeners.connection_to(0)

    def test_turn_nobody_away_while_there_is_no_worker(self) -> None:
        port = free_port()
        with Listeners("127.0.0.1", port, count=2) as listeners:
            listeners.lead_to(set())
            assert sum(taken(listeners, port, 20).values()) == 20

    def test_refuse_a_port_that_is_shared_by_another_server(self) -> None:
        port = free_port()
        with Listeners("127.0.0.1", port, count=2), pytest.raises(OSError, match="in use"):
            Listeners("127.0.0.1", port, count=2)
