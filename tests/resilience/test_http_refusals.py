"""What the guard of a partner refuses is an error of requests, too: whoever catches those catches it."""

import pytest
import requests

from resilience import registry
from resilience.http import GuardedSession
from resilience.primitives import BreakerOpenError, BulkheadFullError, DeadlineExceededError, deadline_scope
from resilience.testing import full_pool, server_role
from tests.servers.partner import Partner


class TestRefusals:
    def test_by_the_breaker(self, api: GuardedSession, partner: Partner) -> None:
        with server_role():
            registry.breaker("external_api").isolate(who="test", why="test")
            with pytest.raises(requests.RequestException) as caught:
                api.get(partner.url)
        assert isinstance(caught.value, BreakerOpenError)
        assert caught.value.name == "external_api"
        assert caught.value.retry_after >= 0
        assert "try again" in str(caught.value)
        assert caught.value.response is None
        assert partner.requests == 0

    def test_by_the_pool(self, api: GuardedSession, partner: Partner) -> None:
        with server_role(), full_pool("external"), pytest.raises(requests.RequestException) as caught:
            api.get(partner.url)
        assert isinstance(caught.value, BulkheadFullError)
        assert caught.value.busy
        assert caught.value.name

    def test_by_the_deadline(self, api: GuardedSession, partner: Partner) -> None:
        with deadline_scope(0.0), pytest.raises(requests.Timeout) as caught:
            api.get(partner.url)
        assert isinstance(caught.value, DeadlineExceededError)
        assert caught.value.before_call
