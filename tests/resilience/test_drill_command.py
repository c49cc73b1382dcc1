"""`manage.py drill` breaks nothing before it knows that it may and can."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from resilience import faults, registry
from resilience.primitives import HostStore
from resilience.testing import server_role
from tests.servers.process import free_port


@pytest.fixture(autouse=True)
def drills(settings: LazySettings, tmp_path: Path) -> Iterator[None]:
    settings.RESILIENCE = {
        "NAMESPACE": "shop",
        "DIR": str(tmp_path / "store"),
        "DRILLS": True,
        "BREAKERS": {"database": {}, "cache": {}},
    }
    yield
    registry.forget()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[None]:
    """A server's store, in which its breakers count."""
    store = HostStore(tmp_path / "store", "shop", role="server", create=True)
    with server_role(store):
        registry.states()
        yield
    store.close()


def refusal(*arguments: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as refused:
        call_command("drill", *arguments)
    assert faults.current("database") is None
    return refused.value.returncode, str(refused.value)


class TestRefused:
    def test_where_drills_are_off(self, server: None, settings: LazySettings) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": False}
        status, said = refusal("database")
        assert status == 2
        assert 'RESILIENCE["DRILLS"]' in said

    def test_where_no_server_runs(self) -> None:
        assert refusal("database")[0] == 3

    @pytest.mark.parametrize(
        "given", ["--seconds=0", "--seconds=nan", "--share=1.1", "--rate=501", "--delay=-1"]
    )
    def test_for_what_makes_no_sense(self, server: None, given: str) -> None:
        status, said = refusal("database", given)
        assert status == 2
        assert given.partition("=")[0] in said

    def test_without_anything_to_read(self, server: None) -> None:
        assert "DRILL_PATHS" in refusal("database")[1]

    def test_for_an_address_that_is_none(self, server: None) -> None:
        assert "--url" in refusal("database", "--url=file:///etc/passwd", "--path=/a")[1]

    def test_where_the_server_does_not_answer(self, server: None) -> None:
        status, said = refusal("database", f"--url=http://127.0.0.1:{free_port()}", "--path=/a")
        assert status == 2
        assert "/a cannot be read before the drill" in said

    def test_while_another_is_under_way(self, server: None) -> None:
        faults.start("cache", "error", lasts=60)
        assert "cache is under way" in refusal("all", "--path=/a")[1]
