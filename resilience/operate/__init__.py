"""Who may steer the breakers, and the doors for that: HTTP, board, commands."""
