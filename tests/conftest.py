"""What holds for every test."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A busy machine fails no property: neither an example that takes long nor one that takes long to make.
settings.register_profile("untimed", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Where a change is judged, the same examples come each time; they are other ones wherever somebody works on it.
settings.register_profile("repeatable", parent=settings.get_profile("untimed"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "untimed"))
