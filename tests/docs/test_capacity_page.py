"""`docs/capacity.md` has the numbers that the checks compute."""

from tests.docs import capacity_page


def test_the_example_and_the_table_are_those_that_the_code_makes() -> None:
    assert capacity_page.made() == capacity_page.PAGE.read_text(), "run `make settings-page`"
