"""Caches that go quiet when their server is away: `"BACKEND": "resilience.cache.ResilientCache"`."""

from resilience.cache.backend import ResilientCache

__all__ = ["ResilientCache"]
