"""A cache that seems empty while its server is away: `"BACKEND": "resilience.cache.ResilientCache"`."""

from resilience.cache.backend import ResilientCache
