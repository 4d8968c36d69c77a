"""Answers about the running daemon: health, readiness, states."""
