"""Options of the ``webhook`` exporter."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_pipeline.data import Signal
from untrace_plugins.exporters.webhook.config import WebhookConfig

URL = "https://example.com/hook"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "endpoint"),
        ({"endpoint": "ftp://example.com"}, "a URL"),
        ({"endpoint": "http://127.0.0.1/x"}, "no public address"),
        ({"endpoint": "http://localhost:8080/x"}, "localhost has no public address, and allow_private is false"),
        ({"endpoint": "http://[::ffff:169.254.169.254]/latest"}, "no public address"),
        ({"endpoint": "http://192.168.1.1:8080/x"}, "no public address"),
        ({"endpoint": URL, "proxy_url": "http://proxy:3128"}, "allow_private: true with proxy_url"),
        ({"endpoint": URL, "form": "template"}, "template together with"),
        ({"endpoint": URL, "template": {"a": "b"}}, "template together with"),
        ({"endpoint": URL, "form": "template", "template": {"a": "$.["}}, "JSONPath"),
        ({"endpoint": URL, "secrets": ["whsec_c2hvcnQ="]}, "at least 24 bytes"),
        ({"endpoint": URL, "event_type": "no spaces"}, "pattern"),
    ],
)
def test_what_does_not_fit_is_told(options: dict[str, Any], problem: str) -> None:
    """Each mistake is told, and no secret is quoted."""
    with pytest.raises(ValidationError) as caught:
        WebhookConfig.model_validate(options)
    assert problem in str(caught.value)
    assert "c2hvcnQ" not in str(caught.value)


def test_metrics_need_otlp() -> None:
    """Only OTLP has words for metrics."""
    assert Signal.METRICS in WebhookConfig.model_validate({"endpoint": URL}).excludes()
    assert not WebhookConfig.model_validate({"endpoint": URL, "form": "otlp_json"}).excludes()
