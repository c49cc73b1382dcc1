"""A request waits in vain for a cache once, not once per call."""

import asyncio
import contextvars
import threading

from asgiref.sync import sync_to_async

from resilience.request.cache_patience import give_up, given_up, request_scope


class TestRequestScope:
    def test_remembers_until_the_request_ends(self) -> None:
        with request_scope():
            assert not given_up()
            give_up()
            assert given_up()
        with request_scope():
            assert not given_up()

    def test_outside_a_request_nothing_is_given_up(self) -> None:
        give_up()

        assert not given_up()

    def test_hears_of_what_a_thread_of_the_request_met(self) -> None:
        with request_scope():
            thread = threading.Thread(target=contextvars.copy_context().run, args=(give_up,))
            thread.start()
            thread.join()

            assert given_up()

    def test_hears_of_what_a_coroutine_of_the_request_met(self) -> None:
        async def request() -> bool:
            with request_scope():
                await sync_to_async(give_up)()
                return given_up()

        assert asyncio.run(request())

    def test_of_another_thread_hears_nothing(self) -> None:
        with request_scope():
            thread = threading.Thread(target=give_up)
            thread.start()
            thread.join()

            assert not given_up()
