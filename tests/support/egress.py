"""Run the tests of a module with each implementation of the clients: ``pytestmark = EACH_CLIENT``."""

from __future__ import annotations

import pytest

from untrace_pipeline import native

__all__ = ["EACH_CLIENT", "egress"]


@pytest.fixture(params=["python", "native"])
def egress(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Force an implementation of the clients, and return its name; skips where it is not installed."""
    name: str = request.param
    if name == native.NATIVE:
        module = pytest.importorskip("untrace_pipeline_native", reason="the extension is not installed (make native)")
        if not hasattr(module, "Egress"):
            pytest.skip("the extension that is installed has no clients")
    monkeypatch.setenv(native.Part.EGRESS.variable, name)
    monkeypatch.setitem(native._made, native.Part.EGRESS, native.Choice(name, "the test says so"))
    return name


EACH_CLIENT = pytest.mark.usefixtures("egress")
