"""The places, by where they come from."""
