"""Tests of the ``otlp`` receiver run over both of its transports."""

from __future__ import annotations

import pytest

from untrace_pipeline import native
from untrace_pipeline.errors import PluginError

__all__ = ["served_by"]


@pytest.fixture(params=["python", "native"], autouse=True)
def served_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Serve with this transport; the tests with the native one are skipped where it is not installed."""
    chosen: str = request.param
    monkeypatch.setenv(native.Part.INGRESS.variable, chosen)
    monkeypatch.setattr(native, "_made", {})
    try:
        native.ingress()
    except PluginError as reason:
        pytest.skip(str(reason))
    return chosen
