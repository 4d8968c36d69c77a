"""What the daemon tells about itself: metrics (all names in ``table``), their HTTP endpoint, and logs."""
