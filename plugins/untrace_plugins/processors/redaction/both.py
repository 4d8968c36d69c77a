"""The two parts of redaction: by keys and patterns, as the Collector does it, and by detectors."""

from __future__ import annotations

from untrace_pipeline.api import Settings, Transform
from untrace_pipeline.data import Batch
from untrace_plugins.processors.redaction.config import RedactionConfig
from untrace_plugins.processors.redaction.content.processor import ContentRedaction
from untrace_plugins.processors.redaction.processor import Redaction

__all__ = ["redaction"]


def redaction(config: RedactionConfig, settings: Settings) -> Transform:
    """Return what the configuration asks for: one of the parts, or both, keys and patterns first."""
    if not config.finds:
        return Redaction(config, settings)
    content = ContentRedaction(config, settings)
    by_keys = not config.keeps_all_keys or config.blocked_values or config.blocked_key_patterns
    return _Both(Redaction(config, settings), content) if by_keys else content


class _Both:
    def __init__(self, first: Redaction, second: ContentRedaction) -> None:
        self._first = first
        self._second = second

    def process(self, batch: Batch) -> Batch | None:
        """Redact by keys and patterns, and what is left by detectors."""
        return self._second.process(self._first.process(batch))
