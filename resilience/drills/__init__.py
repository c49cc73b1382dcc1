"""`manage.py drill`: break a dependency under steady reads, and judge the answers by stated objectives.

It is an app (`"resilience.drills"` in `INSTALLED_APPS`) that a project may leave out, since nothing imports
it. It breaks calls by the hooks of `resilience.faults`; health, board and metrics show the faults in force.
"""
