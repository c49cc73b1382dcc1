"""A rating, from a partner who may fail in every way: else the last one known, else none, and it says so."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.core.cache import cache

from learn import ratings
from learn.management.commands.ratings_stub import MODES
from learn.ratings import Rating, RatingUnknownError, rating_of
from resilience import registry
from resilience.primitives.deadline import deadline_scope
from resilience.testing import server_role
from tests.servers.partner import Partner

FAILING = [mode for mode in MODES if mode not in ("well", "unknown")]


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    ratings._remembered.clear()
    cache.clear()


@pytest.fixture
def partner(settings: Any) -> Iterator[Partner]:
    with Partner(seconds=60) as server:
        settings.RATINGS_URL = server.url
        yield server


class TestRatingOf:
    def test_asks_the_partner(self, partner: Partner) -> None:
        rating, unconfirmed = rating_of("algebra")

        assert unconfirmed is None
        assert rating.value is not None
        assert 0 <= rating.value <= 5
        assert time.time() - rating.as_of < 5

    def test_asks_for_a_slug_of_any_script(self, partner: Partner) -> None:
        assert rating_of("代数-1")[1] is None

    def test_knows_that_a_course_has_none(self, partner: Partner) -> None:
        partner.mode = "unknown"

        rating, unconfirmed = rating_of("algebra")

        assert unconfirmed is None
        assert rating.value is None

    @pytest.mark.parametrize("mode", FAILING)
    def test_falls_back_on_the_last_one_known_however_the_partner_fails(
        self, partner: Partner, mode: str
    ) -> None:
        known, _ = rating_of("algebra")
        partner.mode = mode

        with deadline_scope(0.3):
            assert rating_of("algebra") == (known, "unavailable")

    @pytest.mark.parametrize("mode", FAILING)
    def test_of_a_course_never_asked_for_before_is_unknown_then(self, partner: Partner, mode: str) -> None:
        partner.mode = mode

        with deadline_scope(0.3), pytest.raises(RatingUnknownError):
            rating_of("algebra")

    def test_says_whether_the_partner_or_the_site_is_the_reason(self, partner: Partner) -> None:
        with server_role():
            pool = registry.bulkhead("external")
            with ExitStack() as places:
                for _ in range(pool.config.running):
                    places.enter_context(pool.enter())
                with pytest.raises(RatingUnknownError) as told:
                    rating_of("algebra")
        assert told.value.reason == "busy"
        assert partner.requests == 0

    def test_recovers_with_the_partner(self, partner: Partner) -> None:
        partner.mode = "broken"
        with pytest.raises(RatingUnknownError):
            rating_of("algebra")
        partner.mode = "well"

        assert rating_of("algebra")[1] is None


class TestLastKnown:
    def test_comes_from_the_cache_where_another_process_has_asked(self, partner: Partner) -> None:
        known, _ = rating_of("algebra")
        ratings._remembered.clear()
        partner.mode = "broken"

        assert rating_of("algebra") == (known, "unavailable")

    def test_comes_from_memory_when_the_cache_is_empty(self, partner: Partner) -> None:
        known, _ = rating_of("algebra")
        cache.clear()
        partner.mode = "broken"

        assert rating_of("algebra") == (known, "unavailable")

    def test_is_the_newest_of_both(self, partner: Partner) -> None:
        rating_of("algebra")
        newer = Rating(value=1.5, as_of=time.time() + 1)
        ratings._remembered["algebra"] = newer
        partner.mode = "broken"

        assert rating_of("algebra") == (newer, "unavailable")

    def test_is_forgotten_when_it_is_too_old(self, partner: Partner) -> None:
        ratings._remembered["algebra"] = Rating(value=4.0, as_of=time.time() - ratings.KEPT - 1)
        partner.mode = "broken"

        with pytest.raises(RatingUnknownError):
            rating_of("algebra")

    @pytest.mark.parametrize(
        "entry", [{"value": 5}, (5, "today"), ("5", 1.0), (1.0,), "x", 7, (True, 1.0), (1.0, 1e18)]
    )
    def test_is_not_what_others_wrote_into_the_cache(self, partner: Partner, entry: Any) -> None:
        cache.set(ratings._key("algebra"), entry)
        partner.mode = "broken"

        with pytest.raises(RatingUnknownError):
            rating_of("algebra")

    def test_is_kept_for_so_many_courses_at_most(
        self, partner: Partner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ratings, "MOST_REMEMBERED", 2)

        for slug in ("a", "b", "a", "c"):
            rating_of(slug)

        assert list(ratings._remembered) == ["a", "c"]
