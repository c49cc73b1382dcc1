"""The site's addresses, and beside them views that hang; loading it hangs while there is a file."""

import ctypes
import os
import re
import threading
import time
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.urls import path

from resilience.request.scope import pool
from zenow.urls import urlpatterns as _site

if Path(os.environ.get("SLOW_WHILE_THERE_IS", "")).is_file():
    time.sleep(600)

_lock = threading.Lock()
_lock.acquire()


@pool(None)
def interpreter(request: HttpRequest) -> HttpResponse:
    """Sleep in C, and keep the interpreter's lock meanwhile."""
    ctypes.PyDLL(None).sleep(600)
    return HttpResponse()


@pool(None)
def pattern(request: HttpRequest) -> HttpResponse:
    """Match a pattern that tries all ways to part a text, and keep the interpreter's lock meanwhile."""
    re.match("(a|aa)+$", "a" * 60 + "b")
    return HttpResponse()


@pool(None)
def thread(request: HttpRequest) -> HttpResponse:
    """Wait for a lock that nobody gives up."""
    _lock.acquire()
    return HttpResponse()


urlpatterns = [
    path("hang/interpreter", interpreter),
    path("hang/pattern", pattern),
    path("hang/thread", thread),
    *_site,
]
