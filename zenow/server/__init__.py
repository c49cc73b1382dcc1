"""The processes that serve the site, so that a deploy, a crash or a worker that hangs costs no request.

`python -m zenow` is the process that an init system knows. It listens, and serves nobody:

    supervisor   holds the sockets and one server behind them; replaces, drains and ends that
    watchdog     tells systemd that the supervisor runs

`python -m zenow.server` is its child: one server, granian, whose workers serve. A deploy starts another.

    children     a server and its workers, as the supervisor knows them
    on_granian   granian, set up to accept from sockets that it has not opened
    handover     what a server inherits from its supervisor, and how a worker retires

What both of them use:

    listening    one socket for each worker, and which of them new connections come to
    wedged       whether a worker that answers nothing hangs, or only waits for a processor
    processor    what a process does with the processor
    signs        memory in which workers count their answers, for the supervisor to read
    memory       what a worker does not keep: large blocks

`docs/server.md` says what these rely on of granian, and why there are no others' in their place.
"""
