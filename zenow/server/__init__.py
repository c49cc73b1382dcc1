"""The processes that serve the site. A deploy, a crash or a hanging worker costs no request.

`python -m zenow` is the process that an init system starts. It listens, but serves no requests:

    supervisor   holds the sockets and one server behind them; replaces, drains and ends that
    watchdog     tells systemd that the supervisor runs

`python -m zenow.server` is its child: one server, granian, whose workers serve. A deploy starts another.

    children     a server and its workers, as the supervisor knows them
    on_granian   granian, set up to accept from sockets that it has not opened
    handover     what a server inherits from its supervisor, and how a worker retires

Both use:

    listening    one socket for each worker, and which of them new connections come to
    wedged       whether a worker that answers nothing hangs, or only waits for a processor
    processor    what a process does with the processor
    signs        memory in which workers count their answers, for the supervisor to read
    memory       what a worker does not keep: large blocks

`docs/server.md` says which parts of granian these rely on, and why no library replaces them.
"""
