"""How much longer than promised something may take where several processes share the machine.

`make test` runs in several processes, on machines that do other work: there an upper bound on time only has
to tell a wait that should not have been from a slow processor. `make timings`, `make outages` and
`make mutation` hold the bounds as they are written.
"""

import os

# Seconds.
ROOM = 0.0 if os.environ.get("STRICT_TIMES") else 1.0
