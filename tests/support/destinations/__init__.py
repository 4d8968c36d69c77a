"""Platforms that cannot run here: one server that behaves as their makers say, by rules of each."""
