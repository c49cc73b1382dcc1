"""Clients that other people's generators make of the published schema, and what they can do with the site."""
