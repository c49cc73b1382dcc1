"""What a server does with the signals that end it."""

from threading import Event

from zenow.server.on_granian import GivenSocketsServer


def test_a_signal_that_comes_in_the_middle_of_waiting_ends_the_server() -> None:
    server = object.__new__(GivenSocketsServer)
    server.interrupt_signal = False
    server.main_loop_interrupt = Event()
    with server.main_loop_interrupt._cond:  # type: ignore[attr-defined]  # As the waiting thread holds it for a moment, again and again.
        server.signal_handler_interrupt()
        server.signal_handler_interrupt()
    assert server.main_loop_interrupt.wait(10)
    assert server.interrupt_signal
