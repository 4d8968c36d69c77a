"""Options of the ``webhook`` receiver: what does not fit together is told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_pipeline.data import Signal
from untrace_plugins.receivers.webhook.config import SourceConfig, WebhookReceiverConfig
from untrace_plugins.receivers.webhook.presets import PRESETS
from untrace_plugins.signing.schemes import SCHEMES

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_complete(name: str) -> None:
    """A preset needs a secret, and has a scheme and one mapping."""
    source = SourceConfig.model_validate({"preset": name, "secrets": [SECRET]})
    assert source.scheme == PRESETS[name]["scheme"]
    assert source.signal in {Signal.LOGS, Signal.TRACES}
    assert source.scheme in {*SCHEMES, "token"}


def test_what_is_set_wins_over_the_preset() -> None:
    """A mapping of one's own takes the place of that of the preset."""
    source = SourceConfig.model_validate({"preset": "github", "secrets": ["x"], "span": {"name": "$.action"}})
    assert source.log is None
    assert source.signal is Signal.TRACES
    assert source.scheme == "github"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"scheme": "github", "secrets": ["x"]}, "one of log, span, trace"),
        ({"log": {}, "secrets": ["x"]}, "a scheme"),
        ({"scheme": "github", "log": {}}, "secrets or secret_files"),
        ({"scheme": "none", "log": {}, "secrets": ["x"]}, "secrets or secret_files"),
        ({"scheme": "github", "log": {}, "secrets": ["x", ""]}, "one of them is empty"),
        ({"scheme": "token", "log": {}, "secrets": [" "]}, "one of them is empty"),
        ({"scheme": "hmac", "log": {}, "secrets": ["x"]}, "hmac together with"),
        ({"preset": "github", "secrets": ["x"], "hmac": {}}, "hmac together with"),
        ({"scheme": "hmac", "hmac": {"content": "x"}, "log": {}, "secrets": ["x"]}, "content with {body}"),
        ({"scheme": "hmac", "hmac": {"content": "{id}{body}"}, "log": {}, "secrets": ["x"]}, "id_header"),
        ({"preset": "svix", "secrets": ["too-short"]}, "whsec_"),
        ({"preset": "github", "secrets": ["x"], "log": {"time": "$.["}}, "JSONPath"),
        ({"preset": "github", "secrets": ["x"], "events": "$.a | upper"}, "neither json"),
        ({"preset": "github", "secrets": ["x"], "only": {"$.[": ["x"]}}, "JSONPath"),
        ({"scheme": "none", "trace": {"model": "$.["}}, "JSONPath"),
    ],
)
def test_what_does_not_fit_is_told(options: dict[str, Any], problem: str) -> None:
    """Each contradiction is told, and no secret is quoted."""
    with pytest.raises(ValidationError) as caught:
        SourceConfig.model_validate(options)
    assert problem in str(caught.value)
    assert "too-short" not in str(caught.value)


def test_paths_are_different() -> None:
    """Two sources cannot share a path."""
    source = {"preset": "github", "secrets": ["x"], "path": "/a"}
    with pytest.raises(ValidationError, match="/a occurs twice"):
        WebhookReceiverConfig.model_validate({"sources": {"one": source, "two": source}})


def test_open_sources_are_remarked_on() -> None:
    """A source that believes anybody is warned about."""
    config = WebhookReceiverConfig.model_validate({"sources": {"open": {"scheme": "none", "log": {}}}})
    (remark,) = config.review(None)  # type: ignore[arg-type]
    assert remark.option == "sources.open.scheme"
