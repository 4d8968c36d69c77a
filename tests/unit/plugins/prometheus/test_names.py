"""Names become Prometheus' by the rules of the compatibility specification."""

from __future__ import annotations

import pytest

from untrace_plugins.exporters.prometheus.escaping import escape
from untrace_plugins.exporters.prometheus.negotiation import Escaping
from untrace_plugins.prometheus.names import label_name, metric_name


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("llm.requests", "{request}", "counter", "llm_requests_total"),
        ("llm.cost", "{USD}", "counter", "llm_cost_total"),
        ("gen_ai.client.operation.duration", "s", "histogram", "gen_ai_client_operation_duration_seconds"),
        ("gen_ai.client.token.usage", "{token}", "histogram", "gen_ai_client_token_usage"),
        ("disk.io", "By/s", "gauge", "disk_io_bytes_per_second"),
        ("requests.total.count", "1", "counter", "requests_count_total"),
        ("cpu.ratio.now", "1", "gauge", "cpu_now_ratio"),
        ("up", "1", "sum", "up"),
        ("already_seconds", "s", "gauge", "already_seconds"),
        ("speed", "m/m", "gauge", "speed_meters_per_minute"),
        ("odd", "{x}/{y}", "gauge", "odd"),
        ("odd", "__a b__", "gauge", "odd_a_b_"),
        ("1st", "", "gauge", "_1st"),
        ("größe", "%", "gauge", "gr_e_percent"),
        ("___", "", "gauge", ""),
        ("", "", "gauge", ""),
    ],
)
def test_escaped_with_suffixes(name: str, unit: str, kind: str, expected: str) -> None:
    """Underscores, units, ``_total``, ``_ratio``."""
    flags = {"counter": kind == "counter", "gauge": kind == "gauge"}
    assert metric_name(name, unit, **flags, namespace="", escapes=True, suffixes=True) == expected


def test_other_strategies() -> None:
    """Without suffixes, without escaping, without anything; a namespace goes before."""
    common = {"counter": True, "gauge": False, "namespace": "ns"}
    name = "http.größe"
    assert metric_name(name, "By", **common, escapes=True, suffixes=False) == "ns_http_gr_e"
    assert metric_name(name, "By", **common, escapes=False, suffixes=True) == "ns_http.größe_bytes_total"
    assert metric_name(name, "By", **common, escapes=False, suffixes=False) == "ns_http.größe"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("http.method", "http_method"), ("1st", "key_1st"), ("_own", "_own"), ("a__b", "a__b"), ("..", ""), ("ä", "")],
)
def test_labels(name: str, expected: str) -> None:
    """Labels keep their underscores; what has nothing else is none."""
    assert label_name(name, escapes=True) == expected


@pytest.mark.parametrize(
    ("escaping", "expected"),
    [
        (Escaping.ALLOW, "a.b_größe"),
        (Escaping.UNDERSCORES, "a_b_gr__e"),
        (Escaping.DOTS, "a_dot_b__gr____e"),
        (Escaping.VALUES, "U__a_2e_b__gr_f6__df_e"),
    ],
)
def test_escaping_for_older_scrapers(escaping: Escaping, expected: str) -> None:
    """The four ways that scrapers can ask for."""
    assert escape("a.b_größe", escaping) == expected
