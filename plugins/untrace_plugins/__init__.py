"""First-party components, found by the same entry points as anybody's."""
