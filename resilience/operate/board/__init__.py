"""The live board of the breakers: for staff, with database and cache dead too."""
