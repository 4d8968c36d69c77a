"""Names and places by a language model: Microsoft Presidio over spaCy (extra ``pii``), never among ``all``.

Unlike the other detectors it looks at every text, takes milliseconds for each, and is wrong now and then: a model knows
names by the sentence around them. It blocks whoever asks while it thinks, and for some seconds the first time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from untrace_pipeline.api import Finding

__all__ = ["PresidioDetector"]

_MODELS = ("en_core_web_trf", "en_core_web_lg", "en_core_web_md", "en_core_web_sm")
_TYPES = ("PERSON", "LOCATION")
_PART = 50_000
"""Characters that are looked at in one go; spaCy refuses a million."""
_OVERLAP = 200
"""Characters that two parts have in common, so that no name is cut."""


class PresidioDetector:
    """Finds names of persons and places in English text, with the best of some models of spaCy that is installed."""

    name = "presidio"
    prefilter: Sequence[str] = (r"[A-Za-z]|[^\x00-\x7f]",)

    def __init__(self, models: Sequence[str] = _MODELS) -> None:
        """Choose the first of these models that is installed. Raises ``ImportError`` that says what is missing."""
        if find_spec("presidio_analyzer") is None:
            raise ImportError("Presidio is not installed: pip install 'untrace-pipeline[pii]'")
        model = next((model for model in models if find_spec(model) is not None), None)
        if model is None:
            raise ImportError(f"no model of spaCy is installed: python -m spacy download {_MODELS[1]}")
        self._model = model

    def find(self, text: str) -> Iterator[Finding]:
        """Yield names and places."""
        for start in range(0, len(text), _PART):
            part = text[start : start + _PART + _OVERLAP]
            for result in self._analyzer.analyze(part, language="en", entities=list(_TYPES)):
                yield Finding(start + result.start, start + result.end, result.entity_type, self.name)

    @cached_property
    def _analyzer(self) -> Any:
        presidio: Any = import_module("presidio_analyzer")
        engines: Any = import_module("presidio_analyzer.nlp_engine")
        recognizers: Any = import_module("presidio_analyzer.predefined_recognizers")
        models = [{"lang_code": "en", "model_name": self._model}]
        provider = engines.NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
        # Only the model's: Presidio's patterns would find again, and worse, what the other detectors find.
        registry = presidio.RecognizerRegistry(
            recognizers=[recognizers.SpacyRecognizer(supported_entities=list(_TYPES))]
        )
        return presidio.AnalyzerEngine(
            nlp_engine=provider.create_engine(), registry=registry, supported_languages=["en"]
        )


def __getattr__(name: str) -> PresidioDetector:
    """Make ``PRESIDIO``, the entry point, when it is asked for: so what is missing is known before the first text."""
    if name != "PRESIDIO":
        raise AttributeError(name)
    return PresidioDetector()
