"""Rows for a terminal."""

from resilience.observe.tables import columns


class TestColumns:
    def test_stand_below_each_other(self) -> None:
        rows = [("NAME", "STATE", "NOTE"), ("cache", "OPEN", "x"), ("database", "CLOSED", "")]
        assert columns(rows).splitlines() == [
            "NAME      STATE   NOTE",
            "cache     OPEN    x",
            "database  CLOSED",
        ]

    def test_may_end_before_the_last_one(self) -> None:
        assert columns([("A", "B", "C"), ("", "longer")]).splitlines() == ["A  B       C", "   longer"]
