"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", parent=settings(), deadline=None)  # a busy machine fails no property
settings.load_profile("untimed")
