"""What happened: first in files of the host, then in the database, then read."""
