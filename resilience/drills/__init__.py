"""`manage.py drill`: break a dependency under steady reads, and hold the answers to stated objectives.

An app of its own (`"resilience.drills"` in `INSTALLED_APPS`), which a project may leave out: nothing imports
it. It breaks calls by the hooks of `resilience.faults`; health, board and metrics show what these tell.
"""
