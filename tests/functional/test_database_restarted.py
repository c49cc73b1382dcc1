"""A healthy PostgreSQL is restarted under load."""

from tests.functional.outages import Outage, Site


def test_no_breaker_opens_once_it_is_back(outage_site: Site) -> None:
    with Outage("restarted", outage_site) as outage:
        outage.begins(lambda: None, lasts=0.5)
        outage.ends(outage_site.server.restart)
        before = len(outage.transitions())
        outage.begins(lambda: None, lasts=3.0)
        assert outage.transitions()[before:] == []
        assert all(outage_site.is_well(seen) for seen in outage.seen if seen.at - seen.seconds > outage.began)
    outage.check(opens_by="nothing")
