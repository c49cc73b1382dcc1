"""What a crowd gets of a healthy site and in an outage, beside the same app as plain Django and DRF."""
