"""The static tier: the published catalogue in an SQLite file, read by the same code as the live one."""

from resilience.tiers.static.declared import Export, Resource
from resilience.tiers.static.info import StaticInfo
from resilience.tiers.static.reading import opened

__all__ = ["Export", "Resource", "StaticInfo", "opened"]
