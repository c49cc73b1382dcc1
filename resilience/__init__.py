"""Keep a Django project answering while what it depends on is down, slow or frozen.

The rooms, from the top of the house to its ground. A room imports from those below it, never from above:

    drills          `manage.py drill`: faults on purpose, under load, with a verdict; an app of its own
    middleware      the first and the last stop of each request
    adopting        a project takes the app in: `python -m resilience init`, `manage.py resilience try`
    operate         who may steer the breakers, and the doors for it: HTTP, board, passes, orders
    observe         what people look at: health, metrics, history, folders, the log's queue
    answers         what views are made of: reads, writes, bodies, the 503
    alerts          what people are told without looking: alerts, error reports, mail, webhook
    steward         one process of the host: it asks the dependencies and runs the chores
    tiers           what stands in for the database: fresh, stored, the static copy
    journal         what happened: in files of the host, then in the database, then read
    db cache http   one guarded dependency each; `auth` guards sign-in, whatever that needs
    problems        errors as RFC 9457 writes them
    request         what belongs to one request: its clock, its id, its client
    faults          where a drill breaks a call
    registry        the breakers, bulkheads and guards of this process, by name
    net             sockets that keep a deadline, host names, pings
    causes          why a connection failed, said once for each cause
    signals         what a project may listen to
    conf, defaults  the settings, typed; each default is said once
    primitives      breaker, bulkhead, deadline, retry and the host's store: no Django

Django finds `apps`, `admin`, `models`, `checks`, `urls`, `management`, `templates` and `static` by their
names; `testing` is for a project's own tests. `ARCHITECTURE.md` follows a read and a write through the rooms.
"""
