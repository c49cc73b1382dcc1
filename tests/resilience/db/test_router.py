"""Which database answers, by context and by where a row came from."""

import pytest
from django.contrib.auth.models import User
from django.db import models
from django.db.utils import ConnectionRouter

from learn.models import Category, Field
from resilience.db.router import static_tier
from resilience.primitives import TierUnavailableError

router = ConnectionRouter(["resilience.db.router.TierRouter"])


def from_static(instance: models.Model) -> models.Model:
    instance._state.db = "static"
    return instance


class TestReads:
    def test_go_to_the_primary(self) -> None:
        assert router.db_for_read(Category) == "default"

    def test_go_to_the_static_file_within_its_tier(self) -> None:
        with static_tier([Category]):
            assert router.db_for_read(Category) == "static"
        assert router.db_for_read(Category) == "default"

    def test_of_what_the_static_file_does_not_hold_end_its_tier(self) -> None:
        with static_tier([Category]), pytest.raises(TierUnavailableError, match="holds no users"):
            router.db_for_read(User)

    def test_of_a_static_rows_relations_stay_in_the_static_file(self) -> None:
        assert router.db_for_read(Field, instance=from_static(Category())) == "static"

    def test_of_a_primary_rows_relations_stay_on_the_primary(self) -> None:
        category = Category()
        category._state.db = "default"
        assert router.db_for_read(Field, instance=category) == "default"


class TestWrites:
    def test_never_go_to_the_static_file(self) -> None:
        with static_tier([Category]):
            assert router.db_for_write(Category) == "default"
            assert router.db_for_write(Category, instance=Category()) == "default"

    def test_of_a_static_row_go_to_the_primary(self) -> None:
        assert router.db_for_write(Category, instance=from_static(Category())) == "default"


class TestMigrations:
    def test_run_on_the_primary_only(self) -> None:
        assert router.allow_migrate("default", "learn")
        assert not router.allow_migrate("static", "learn")
