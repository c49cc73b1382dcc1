"""Sockets that keep a deadline, host names, and one question to each server."""
