"""The tests of a module with each codec: ``pytestmark = pytest.mark.usefixtures("each_codec")``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from untrace_pipeline.data import batch
from untrace_pipeline.data.codec import Codec
from untrace_pipeline.data.codecs.upb import UpbCodec


@pytest.fixture(scope="module", params=["upb", "native"])
def each_codec(request: pytest.FixtureRequest) -> Iterator[Codec]:
    """The codec that batches take when nobody names one; skips where the native one is not installed."""
    codec: Codec = UpbCodec()
    if request.param == "native":
        pytest.importorskip("untrace_pipeline_native", reason="the native codec is not installed (make native)")
        from untrace_pipeline.data.codecs.native import NativeCodec  # noqa: PLC0415  needs the extension

        codec = NativeCodec()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "active_codec", lambda: codec)
        yield codec
