"""What is wrong with the folders of a server, as all its processes see it."""

from resilience.primitives import HostStore


class TestFolders:
    def test_say_what_is_wrong_with_each(self, one: HostStore, two: HostStore) -> None:
        assert one.folders.read() == {}
        assert one.folders.write({"static": "it is full" + "!" * 2000, "events": ""})
        assert two.folders.read() == {"static": "it is full" + "!" * 990, "events": ""}

    def test_say_when_it_could_not_be_written(self, one: HostStore, busy: HostStore) -> None:
        assert not one.folders.write({"static": ""})
