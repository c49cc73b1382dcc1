"""PostgreSQL is stopped under load: it accepts, acknowledges, and says nothing."""

from tests.functional.outages import Outage, Site


def test_a_frozen_database_holds_nobody_longer_than_the_budget(outage_site: Site) -> None:
    with Outage("frozen", outage_site) as outage:
        outage.begins(outage_site.server.freeze)
        outage.ends(outage_site.server.thaw)
    outage.check()
