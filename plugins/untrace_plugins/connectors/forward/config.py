"""Options of the forward connector: none."""

from __future__ import annotations

from untrace_pipeline.api import ComponentConfig

__all__ = ["ForwardConfig"]


class ForwardConfig(ComponentConfig):
    """Passes everything on."""
