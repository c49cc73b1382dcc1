"""PostgreSQL is killed under load, and started again."""

from tests.functional.outages import Outage, Site


def test_a_killed_database_costs_three_failures_and_comes_back_by_itself(outage_site: Site) -> None:
    with Outage("killed", outage_site) as outage:
        outage.begins(outage_site.server.kill)
        outage.ends(outage_site.server.start)
    outage.check()
