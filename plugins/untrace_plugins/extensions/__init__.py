"""First-party extensions."""
