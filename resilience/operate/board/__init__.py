"""The board: the operators' live page of the breakers. It works without database and cache."""
