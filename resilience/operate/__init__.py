"""Who may steer the breakers, and the doors by which they do: API, board, commands."""
