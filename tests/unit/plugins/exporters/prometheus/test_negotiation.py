"""Scrapers get the best form that they take."""

from __future__ import annotations

import pytest

from untrace_plugins.exporters.prometheus.negotiation import Escaping, Form, Wish, negotiate

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
OPEN = "application/openmetrics-text;version=1.0.0"
PROMETHEUS_3 = f"{OPEN};escaping=allow-utf-8;q=0.6,{OPEN};q=0.5,text/plain;version=1.0.0;q=0.3,*/*;q=0.2"


@pytest.mark.parametrize(
    ("accept", "openmetrics", "expected"),
    [
        ("", True, Wish(Form.TEXT, Escaping.UNDERSCORES)),
        ("*/*", True, Wish(Form.TEXT, Escaping.UNDERSCORES)),
        (PROMETHEUS_3, True, Wish(Form.OPENMETRICS, Escaping.ALLOW)),
        (PROMETHEUS_3, False, Wish(Form.TEXT, Escaping.UNDERSCORES)),
        (f"text/plain;version=0.0.4;q=0.3,{PROTOBUF};q=0.9", False, Wish(Form.PROTOBUF, Escaping.UNDERSCORES)),
        (f"{PROTOBUF};escaping=dots", False, Wish(Form.PROTOBUF, Escaping.DOTS)),
        ("application/vnd.google.protobuf", False, Wish(Form.TEXT, Escaping.UNDERSCORES)),
        (f"{OPEN};q=high;escaping=wild,text/plain;q=0.1", True, Wish(Form.TEXT, Escaping.UNDERSCORES)),
        (";;,=;q", True, Wish(Form.TEXT, Escaping.UNDERSCORES)),
    ],
)
def test_negotiates(accept: str, *, openmetrics: bool, expected: Wish) -> None:
    """By quality, version, parameters; text for everything else."""
    assert negotiate(accept, openmetrics=openmetrics) == expected
