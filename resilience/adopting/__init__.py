"""A project takes the app in: which lines it lacks, and a trial of what they bring."""
