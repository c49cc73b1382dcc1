"""What the suite asks the site and gets is held against the schema that the site publishes."""
