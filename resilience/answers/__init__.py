"""What a project's views are made of: reads, writes, their bodies, and the 503."""
