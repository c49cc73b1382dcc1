"""The database goes away and comes back every two seconds."""

import math

from tests.functional.outages import Outage, Site, open_for


def test_a_flapping_database_ends_no_request_in_an_error(outage_site: Site) -> None:
    with Outage("flapping every 2 s", outage_site, may_reach=math.inf) as outage:
        outage.begins(lambda: outage_site.proxy.set("flap", period=2.0), lasts=max(8.0, 2 * open_for()))
        outage.ends(lambda: outage_site.proxy.set("pass"))
    outage.check()
