"""``text_length``: adds the length of text attributes as attributes of their own. Cost: one column per attribute."""

from __future__ import annotations

from pydantic import Field

from untrace_pipeline.api import ComponentConfig, Settings, Stability, Transform, TransformFactory
from untrace_pipeline.data import Batch, attribute

__all__ = ["FACTORY", "TextLength", "TextLengthConfig"]


class TextLengthConfig(ComponentConfig):
    """Which attributes to measure."""

    attributes: list[str] = Field(min_length=1)
    """Keys of item attributes, for example ``[gen_ai.input.messages]``."""
    suffix: str = Field(".length", min_length=1)
    """Appended to the key for the attribute that takes the length, in characters."""


class TextLength:
    """A pure step: columns in, columns out. Items without the attribute, or where it is no text, stay as they are."""

    def __init__(self, config: TextLengthConfig) -> None:
        self._fields = [attribute(key) for key in config.attributes]
        self._results = [attribute(key + config.suffix) for key in config.attributes]

    def process(self, batch: Batch) -> Batch:
        """Add the lengths."""
        for result, texts in zip(self._results, batch.columns(self._fields), strict=True):
            rows = [row for row, text in enumerate(texts) if isinstance(text, str)]
            batch.set(result, [len(str(texts[row])) for row in rows], rows)
        return batch


def _create(config: TextLengthConfig, _settings: Settings) -> Transform:
    return TextLength(config)


FACTORY = TransformFactory(
    type_name="text_length",
    config=TextLengthConfig,
    description="adds the length of text attributes",
    create=_create,
    stability=Stability.STABLE,
)
