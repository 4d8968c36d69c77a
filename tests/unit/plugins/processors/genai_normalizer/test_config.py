"""Options of the processor."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.genai.dialects import DIALECTS
from untrace_plugins.processors.genai_normalizer.config import GenaiNormalizerConfig, SourceName


def test_without_options() -> None:
    """All dialects are read, nothing is removed, and the canonical form stays."""
    config = GenaiNormalizerConfig.model_validate({})
    assert config.sources == {}
    assert not config.remove_originals
    assert config.emit == "as_is"


def test_every_dialect_can_be_named() -> None:
    """``sources`` knows every dialect there is, and nothing else but ``custom``."""
    assert {str(name) for name in SourceName} == {dialect.name for dialect in DIALECTS} | {"custom"}


@pytest.mark.parametrize(
    "options",
    [
        {"sources": {"novel": {}}},
        {"sources": {"custom": {}}},
        {"sources": {"openinference": {"custom_mappings": {"": "gen_ai.request.model"}}}},
        {"mappings": {"my.model": ""}},
        {"mappings": {"my.model": "my.model"}},
        {"mappings": {"$": "gen_ai.request.model"}},
        {"mappings": {"$['a'].b[": "gen_ai.request.model"}},
        {"mappings": {"$..a": "gen_ai.request.model"}},
        {"mappings": {"$['a'][?(@.b =~ '(x+x+)+y')]": "gen_ai.request.model"}},
        {"emit": "novel"},
        {"join_events": {"wait": "-1s"}},
        {"join_events": {"wait": "2m"}},
        {"join_events": {"max_bytes": 0}},
        {"remembered_spans": -1},
    ],
)
def test_mistakes(options: dict[str, Any]) -> None:
    """Wrong options are refused."""
    with pytest.raises(ValidationError):
        GenaiNormalizerConfig.model_validate(options)
