"""Somebody locks a table of the catalogue: the database is well, and says so by its lock time-out."""

import psycopg

from tests.functional.outages import Outage, Site


def test_a_locked_table_costs_no_failure(outage_site: Site) -> None:
    connection = psycopg.connect(outage_site.server.url)
    with connection, Outage("a table locked", outage_site) as outage:
        outage.begins(lambda: connection.execute("LOCK TABLE learn_course"), lasts=6.0)
        outage.ends(connection.rollback)
    outage.check(opens_by="nothing")
    assert outage.transitions() == []
    assert {seen.source for seen in outage.seen} == {"live", "static"}
    waited = [seen for seen in outage.seen if seen.source == "static" and seen.seconds > 1.0]
    at_once = [seen for seen in outage.seen if seen.source == "static" and seen.seconds <= 1.0]
    # Three have to wait in vain first, beside all that wait at the same time; then one in two seconds.
    assert len(waited) <= 16
    assert len(at_once) > len(waited)
    assert {seen.reason for seen in at_once} == {"busy"}  # the database is well
    told = outage_site.log.read_text()
    assert "reads of learn_course no longer wait for its lock" in told
    assert "reads of learn_course wait again for its lock" in told
