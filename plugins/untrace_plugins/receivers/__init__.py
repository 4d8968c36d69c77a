"""First-party receivers."""
