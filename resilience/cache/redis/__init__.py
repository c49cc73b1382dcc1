"""Redis behind the cache's guard: bounded connections, guarded clients. Imported only where Redis is used."""
