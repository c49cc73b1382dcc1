"""What we rely on of granian beyond its documented use is still there; `docs/server.md` says what it is for.

A new granian that fails here is not taken as it is: read the page, look at the place, try what the page says.
"""

import inspect
import multiprocessing
import re
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from pydoc import locate
from types import SimpleNamespace
from typing import Any

import granian
import pytest
from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.errors import ConfigurationError
from granian.server import common
from granian.server.mp import MPServer, WorkerProcess
from granian.wsgi import _callback_wrapper

from zenow.server import wedged

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "server.md").read_text()


def told(what: str, place: str = "zenow/server/on_granian.py") -> str:
    """Say what has changed, whom it concerns, and where the reason stands."""
    return f"granian {granian.__version__}: {what}. {place} relies on it; docs/server.md says for what."


def names() -> list[tuple[str, str, str]]:
    """Return the rows of the page's table of names: the name, its parameters, the place that uses it."""
    return re.findall(r"^\| `(granian\.[\w.]+)(\([^`]*\))?` \| `([^`]+)` \|", PAGE, re.MULTILINE)


def bare(signature: inspect.Signature) -> inspect.Signature:
    """Return a signature without its types."""
    nameless = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    return signature.replace(parameters=nameless, return_annotation=signature.empty)


class TestPage:
    def test_knows_this_version(self) -> None:
        version = re.escape(granian.__version__)
        assert re.search(rf"^\| {version}(, pinned)? \| holds \|", PAGE, re.MULTILINE), (
            f"docs/server.md does not say that granian {granian.__version__} was tried: try it"
        )

    def test_names_places_and_proofs_that_there_are(self) -> None:
        paths = set(re.findall(r"`((?:tests|zenow|resilience)/[\w/]+\.py)`", PAGE))
        assert {path for path in paths if not (ROOT / path).is_file()} == set()
        assert len(paths) > 10


class TestNames:
    @pytest.mark.parametrize(("name", "parameters", "place"), names())
    def test_are_there_and_take_what_they_took(self, name: str, parameters: str, place: str) -> None:
        assert (ROOT / place).is_file(), f"docs/server.md names {place}, which is no file"
        found = locate(name)
        assert found is not None, told(f"there is no {name}", place)
        if parameters:
            now = str(bare(inspect.signature(found)))  # type: ignore[arg-type]
            assert now == parameters, told(f"{name} takes {now}, not {parameters}", place)

    def test_are_all_that_we_import(self) -> None:
        product = [path for path in (ROOT / "zenow").rglob("*.py") if "migrations" not in path.parts]
        imported = [
            f"{module}.{name.strip()}"
            for path in product
            for module, several in re.findall(
                r"^from (granian[\w.]*) import (.+)$", path.read_text(), re.MULTILINE
            )
            for name in several.split(",")
        ]
        assert imported
        assert set(imported) - {name for name, *_ in names()} == set()


@pytest.fixture
def server() -> Any:
    """A server that has not been started. Of any type: most of what is looked at has none."""
    return MPServer("nowhere:application", interface=Interfaces.WSGI)


class TestStart:
    def test_opens_a_socket_by_one_method_before_there_is_a_worker(
        self, server: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps: list[str] = []
        handlers: list[Any] = []
        monkeypatch.setattr(common, "set_main_signals", lambda *given: handlers.extend(given))
        for name in ("_init_shared_socket", "_start_ipc", "_spawn_workers"):
            monkeypatch.setattr(server, name, lambda *_, name=name: steps.append(name), raising=False)
        server.startup(lambda: None, lambda: None)

        opened, spawned = steps.index("_init_shared_socket"), steps.index("_spawn_workers")
        assert opened < spawned, told("it opens its socket after its workers")
        assert steps.count("_init_shared_socket") == 1, told("it opens its socket more than once")
        assert handlers[0] == server.signal_handler_interrupt, told("SIGTERM has another handler")

    def test_has_no_other_method_that_listens(self) -> None:
        listening = {
            name
            for kind in (MPServer, common.AbstractServer)
            for name, method in vars(kind).items()
            if inspect.isfunction(method) and "SocketSpec" in method.__code__.co_names
        }
        listening -= {"_start_metrics"}  # of metrics, which we do not turn on
        assert listening == {"_init_shared_socket"}, told(f"{listening} open sockets")


def holder(listener: socket.socket) -> SocketHolder:
    """Return what carries a socket to a worker, made as we make it."""
    try:
        return SocketHolder(listener.fileno(), False, 5)  # type: ignore[call-arg]
    except TypeError as error:
        pytest.fail(told(f"SocketHolder takes other arguments: {error}"))


def flat(nested: Any) -> list[Any]:
    """Return what is in tuples of tuples."""
    return [each for part in nested for each in flat(part)] if isinstance(nested, tuple) else [nested]


class TestWorkers:
    @pytest.mark.parametrize("begin", ["_spawn_workers", "_respawn_workers"])
    def test_come_from_one_method_also_in_place_of_others(
        self, server: Any, monkeypatch: pytest.MonkeyPatch, begin: str
    ) -> None:
        asked: list[dict[str, Any]] = []
        worker = SimpleNamespace(
            **{name: lambda *_: None for name in ("start", "terminate", "join")}, is_alive=lambda: False
        )

        def spawn(**given: Any) -> Any:
            asked.append(given)
            return worker

        monkeypatch.setattr(server, "_spawn_worker", spawn)
        server.wrks = [worker]
        target, load = object(), object()
        if begin == "_spawn_workers":
            server._spawn_workers(target, load)
        else:
            server._respawn_workers([0], target, load)
        assert asked == [{"idx": 0, "target": target, "callback_loader": load}], told(
            f"{begin} begins workers in another way"
        )

    def test_are_given_the_socket_and_the_loader_of_that_moment(self, server: Any) -> None:
        server._ssp = server._sso = None
        server._ipc = {0: (None, None)}
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server._shd = holder(listener)
            load = lambda: None  # noqa: E731 - it is compared
            worker = server._spawn_worker(0, server._spawn_wsgi_worker, load)
            _, _, loader, sockets, *_ = worker.inner._args
            assert loader is load, told("the loader is another argument of a worker")
            given = [each for each in flat(sockets) if each is not None]
            assert given == [server._shd], told("a worker is given another socket than `_shd`")
            assert server._shd.get_fd() == listener.fileno(), told("it listens on a copy of the socket")
            assert not server._shd.is_uds(), told("SocketHolder takes other arguments")

    def test_inherit_descriptors(self, server: Any) -> None:
        begin: Any = WorkerProcess
        worker = begin(server, 0, lambda: None, ())
        kind = multiprocessing.get_context("fork").Process
        assert isinstance(worker.inner, kind), told(
            "workers are not forked, so they inherit neither sockets nor pipes"
        )


class TestEnd:
    def test_is_begun_by_an_event_that_the_main_thread_waits_for(self, server: Any) -> None:
        server.signal_handler_interrupt()
        assert server.interrupt_signal, told("its end is noted elsewhere")
        assert isinstance(server.main_loop_interrupt, threading.Event), told(
            "its end is waited for otherwise"
        )
        assert server.main_loop_interrupt.is_set(), told("its end is not waited for by that event")

    @pytest.mark.parametrize(("age", "again"), [(wedged.NEVER_ENDED_BEFORE, True), (5.4, False)])
    def test_comes_when_a_worker_dies_twice_in_no_more_than_5_5_s(
        self, server: Any, monkeypatch: pytest.MonkeyPatch, age: float, again: bool
    ) -> None:
        respawned: list[int] = []

        def respawn(workers: list[int], *_: object) -> None:
            respawned.extend(workers)
            server.signal_handler_interrupt()

        monkeypatch.setattr(common, "time", SimpleNamespace(monotonic=lambda: 1000.0, time=lambda: 1000.0))
        monkeypatch.setattr(server, "_respawn_workers", respawn)
        server.respawn_failed_workers = True
        server.interrupt_children = [0]
        server.respawned_wrks = {0: 1000.0 - age}
        server.main_loop_interrupt.set()
        server._serve_loop(None, None)
        assert bool(respawned) is again, told("it ends after other deaths", "zenow/server/wedged.py")


class TestThreads:
    @pytest.mark.parametrize(("seconds", "allowed"), [(600, True), (601, False)])
    def test_idle_for_at_most_600_s(
        self, monkeypatch: pytest.MonkeyPatch, seconds: int, allowed: bool
    ) -> None:
        served: list[bool] = []
        server = MPServer("nowhere:site", interface=Interfaces.WSGI, blocking_threads_idle_timeout=seconds)
        monkeypatch.setattr(server, "_serve", lambda *_: served.append(True))
        with suppress(ConfigurationError):
            server.serve()
        assert bool(served) is allowed, told("threads may idle for another time")


class TestRequests:
    @pytest.fixture
    def environ(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.setenv("DATABASE_URL", "postgres://ada:secret@db/zenow")
        seen: dict[str, Any] = {}

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
            seen.update(environ)
            start_response("200 OK", [])
            return []

        answer = _callback_wrapper(application, {}, None)
        monkeypatch.delenv("DATABASE_URL")
        answer(SimpleNamespace(response_bytes=lambda *_: None), {"REQUEST_METHOD": "GET"})
        return seen

    def test_carry_the_environment_of_when_the_site_was_loaded(self, environ: dict[str, Any]) -> None:
        assert "DATABASE_URL" in environ, told("it copies no environment into requests", "zenow/wsgi.py")

    def test_name_the_server(self, environ: dict[str, Any]) -> None:
        place = "resilience/answers/bodies.py"
        assert environ["SERVER_SOFTWARE"] == "Granian", told("it has another name", place)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no handover of several sockets")
def test_sockets_are_accepted_from_by_descriptor() -> None:
    """`SocketHolder` keeps the number alone: it neither copies nor closes what others hold as well."""
    listener = socket.create_server(("127.0.0.1", 0))
    held = holder(listener)
    del held
    assert Path(f"/proc/self/fd/{listener.fileno()}").exists(), told("SocketHolder closes its socket")
    listener.close()
