"""Configuration is refused where it makes no sense, in words that say what would happen."""

import dataclasses
from typing import Any

import pytest

from resilience.primitives import BreakerConfig, BulkheadConfig


class TestBreakerConfig:
    @pytest.mark.parametrize(
        ("field", "value", "rule"),
        [
            ("failure_threshold", 0, "at least 1"),
            ("failure_threshold", 2.0, "whole number"),
            ("failure_threshold", True, "whole number"),
            ("recovery_timeout", 0, "above 0"),
            ("recovery_timeout", float("inf"), "above 0"),
            ("recovery_timeout", float("nan"), "above 0"),
            ("recovery_timeout", "15", "above 0"),
            ("recovery_timeout", True, "above 0"),
            ("window", -1.0, "above 0"),
            ("minimum_volume", 0, "at least 1"),
            ("failure_rate", 0.0, "at most 1"),
            ("failure_rate", 1.1, "at most 1"),
            ("slow_after", 0.0, "above 0"),
            ("half_open_max_calls", 0, "at least 1"),
            ("half_open_max_calls", 17, "at most 16"),
            ("success_threshold", 0, "at least 1"),
            ("permit_timeout", 0.0, "above 0"),
            ("backoff", 0.9, "at least 1"),
            ("backoff", float("inf"), "at least 1"),
            ("max_open", 29.9, "at least recovery_timeout"),
            ("max_open", float("inf"), "at least recovery_timeout"),
        ],
    )
    def test_names_field_rule_value_and_consequence(self, field: str, value: Any, rule: str) -> None:
        with pytest.raises(ValueError, match=rule) as refusal:
            BreakerConfig(**{field: value})
        message = str(refusal.value)
        assert message.startswith(f"{field} must be ")
        assert repr(value) in message
        assert ": " in message

    def test_takes_the_bounds_themselves(self) -> None:
        config = BreakerConfig(
            failure_threshold=1,
            minimum_volume=1,
            failure_rate=1.0,
            half_open_max_calls=16,
            success_threshold=1,
            backoff=1.0,
            max_open=30.0,
        )
        assert config.half_open_max_calls == 16

    def test_is_frozen_and_keyword_only(self) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            BreakerConfig().window = 1.0  # type: ignore[misc]
        with pytest.raises(TypeError):
            BreakerConfig(3)  # type: ignore[call-arg]

    def test_a_permit_lasts_as_long_as_the_open_time_but_at_least_five_seconds(self) -> None:
        assert BreakerConfig(recovery_timeout=30).permit_lasts == 30
        assert BreakerConfig(recovery_timeout=0.5).permit_lasts == 5
        assert BreakerConfig(permit_timeout=2.0).permit_lasts == 2


class TestBulkheadConfig:
    @pytest.mark.parametrize(
        ("values", "field"),
        [
            ({"running": 0}, "running"),
            ({"running": 1, "waiting": -1}, "waiting"),
            ({"running": 1, "max_wait": 0}, "max_wait"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, values: dict[str, Any], field: str) -> None:
        with pytest.raises(ValueError, match=f"^{field} must be"):
            BulkheadConfig(**values)

    def test_waits_a_tenth_of_a_second_unless_told(self) -> None:
        assert BulkheadConfig(running=5) == BulkheadConfig(running=5, waiting=0, max_wait=0.1)
