"""What belongs to one request: its id, its clock, its client, how it was answered."""
