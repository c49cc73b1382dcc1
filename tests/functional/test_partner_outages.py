"""The partner goes away in every way there is: the last known rating is shown, and nothing else notices."""

import math
from collections.abc import Iterator
from typing import Literal

import pytest

from tests.faultproxy import FaultProxy, Mode
from tests.functional.outages import Outage, open_for
from tests.functional.rated import PartnerSite, ready
from tests.servers import RedisServer
from tests.servers.partner import PartnerServer

# One call at a time in each worker, each of which may have its full time: five take a while.
LONG_ENOUGH = max(8.0, 1.5 * open_for())


@pytest.fixture(scope="module")
def partner() -> Iterator[PartnerServer]:
    with PartnerServer() as partner:
        yield partner


@pytest.fixture(scope="module")
def site(partner: PartnerServer) -> Iterator[PartnerSite]:
    with (
        RedisServer() as server,
        FaultProxy(server.port) as cache,
        FaultProxy(partner.port) as wire,
        ready(PartnerSite(cache=cache, partner=wire)) as site,
    ):
        site.proxy = wire
        yield site


def check(outage: Outage, *, opens_by: Literal["failures", "nothing"] = "failures") -> None:
    outage.check(opens_by=opens_by)
    assert {seen.status for seen in outage.seen} == {200}
    # What was not asked for just now is labelled as what it is.
    assert {seen.source for seen in outage.seen} == {"live", "cached"}


def test_a_killed_partner_costs_five_failures_over_all_workers(
    site: PartnerSite, partner: PartnerServer
) -> None:
    with Outage("killed", site) as outage:
        outage.begins(partner.kill, lasts=LONG_ENOUGH)
        outage.ends(partner.start)
    check(outage)


def test_a_frozen_partner_holds_nobody_longer_than_its_time(
    site: PartnerSite, partner: PartnerServer
) -> None:
    with Outage("frozen", site) as outage:
        outage.begins(partner.freeze, lasts=LONG_ENOUGH)
        outage.ends(partner.thaw)
    check(outage)


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
    with Outage(name, site) as outage:
        outage.begins(lambda: site.proxy.set(mode, delay=delay), lasts=LONG_ENOUGH)
        outage.ends(lambda: site.proxy.set("pass"))
    check(outage)


def test_a_flapping_partner_ends_no_request_in_an_error(site: PartnerSite) -> None:
    with Outage("flapping every 2 s", site, may_reach=math.inf) as outage:
        outage.begins(lambda: site.proxy.set("flap", period=2.0), lasts=max(8.0, 2 * open_for()))
        outage.ends(lambda: site.proxy.set("pass"))
    check(outage, opens_by="nothing")
