"""The partner goes away in every way there is: the last known rating is shown, and nothing else notices."""

from collections.abc import Iterator

import pytest

from tests.faultproxy import FaultProxy, Mode
from tests.functional.outages import Outage, open_for
from tests.functional.rated import PartnerSite, ready
from tests.servers import RedisServer
from tests.servers.partner import Partner


@pytest.fixture(scope="module")
def site() -> Iterator[PartnerSite]:
    with (
        Partner() as partner,
        RedisServer() as server,
        FaultProxy(server.port) as cache,
        FaultProxy(partner.server_address[1]) as wire,
        ready(PartnerSite(cache=cache, partner=wire)) as site,
    ):
        site.proxy = wire
        yield site


def check(outage: Outage, *, opens: str | None = "5 failures and 0 slow") -> None:
    outage.check(opens=opens)
    assert {seen.status for seen in outage.seen} == {200}
    # What was not asked for just now is labelled as what it is.
    assert {seen.source for seen in outage.seen} == {"live", "cached"}


@pytest.mark.parametrize(
    ("name", "mode", "delay"),
    [
        ("refused", "refuse", 0.0),
        ("slow by 5 s on the wire", "latency", 5.0),
        ("reset", "reset", 0.0),
        ("accepted but silent", "silent", 0.0),
        ("cut after half of a reply", "cut", 0.0),
    ],
)
def test_a_broken_wire_costs_five_failures(site: PartnerSite, name: str, mode: Mode, delay: float) -> None:
    with Outage(f"partner: {name}", site) as outage:
        # One call at a time in each worker, each of which may have its full time: five take a while.
        outage.begins(lambda: site.proxy.set(mode, delay=delay), lasts=max(8.0, 1.5 * open_for()))
        outage.ends(lambda: site.proxy.set("pass"))
    check(outage)


def test_a_flapping_partner_ends_no_request_in_an_error(site: PartnerSite) -> None:
    with Outage("partner: flapping every 2 s", site) as outage:
        outage.begins(lambda: site.proxy.set("flap", period=2.0), lasts=max(8.0, 2 * open_for()))
        outage.ends(lambda: site.proxy.set("pass"))
    check(outage, opens=None)
