"""What belongs to one request: its id, its clock, its client's address, and how it was answered."""
