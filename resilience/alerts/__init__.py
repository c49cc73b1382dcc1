"""What people are told without looking: alerts and error reports, by mail and webhook."""
