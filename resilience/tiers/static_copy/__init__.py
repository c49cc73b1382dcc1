"""The static tier: the published catalogue in an SQLite file, read by the same code as the live one."""

from resilience.tiers.static_copy.declared import Export, Resource
from resilience.tiers.static_copy.info import StaticInfo
from resilience.tiers.static_copy.reading import opened
from resilience.tiers.static_copy.turns import turn
