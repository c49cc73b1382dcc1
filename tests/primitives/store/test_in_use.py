"""Whether a living process counts for a breaker: what a command must know before it believes what it sees."""

from resilience.primitives import CircuitBreaker, HostStore, LocalStore, in_use
from resilience.primitives.config import BreakerConfig

from .conftest import Another

CONFIG = BreakerConfig(failure_threshold=3, recovery_timeout=15.0, window=30.0, minimum_volume=5)


def made(store: HostStore | LocalStore, key: str = "database@here") -> CircuitBreaker:
    breaker = CircuitBreaker(name="database", config=CONFIG, store=store, key=key)
    breaker.call(lambda: None)
    return breaker


class TestInUse:
    def test_is_what_a_living_process_counts_for(self, another: Another) -> None:
        server, other = another(), another()
        made(server)
        assert in_use(other, "database@here")

    def test_is_not_what_nobody_has_named_and_names_it_not(self, another: Another) -> None:
        server, other = another(), another()
        made(server)
        assert not in_use(other, "database@elsewhere")
        assert other.breaker_names.all() == ["database@here"]

    def test_ends_with_the_process(self, another: Another) -> None:
        server, other = another(), another()
        made(server)
        server.close()
        assert not in_use(other, "database@here")

    def test_is_not_inherited_with_the_slot(self, another: Another) -> None:
        """A server that comes back with other settings takes the same slot, and uses another breaker."""
        server, other = another(), another()
        made(server)
        slot = server.slot()
        server.close()
        successor = another()
        made(successor, "database@elsewhere")
        assert successor.slot() == slot
        assert in_use(other, "database@elsewhere")
        assert not in_use(other, "database@here")

    def test_is_not_what_a_command_looks_at(self, another: Another) -> None:
        other = another()
        other.role = "command"
        made(other)
        assert not in_use(other, "database@here")
