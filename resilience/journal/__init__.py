"""What happened: written into files of the host, copied into the database, read from either."""
