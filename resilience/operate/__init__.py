"""Who may steer the breakers, and the doors by which they do: HTTP, board, commands."""
