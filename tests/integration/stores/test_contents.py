"""Long prompts in an object store: the platform gets the beginning, and where the whole is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.buckets import Bucket
from tests.support.destinations.platforms import PLATFORMS
from tests.support.destinations.server import ContractServer
from tests.support.exporters import QUICK_RETRY, running
from tests.support.spans import SpanOf, spans_batch
from untrace_pipeline.api import Kind
from untrace_pipeline.errors import RetryableError
from untrace_pipeline.registry import Registry
from untrace_pipeline.testing import StubHost, make_settings
from untrace_plugins.extensions.object_store import FACTORY

pytestmark = pytest.mark.once
NAME = "my.prompt"
PROMPT = "ü" * 10_000


def extension(options: dict[str, Any]) -> Any:
    return FACTORY.create(FACTORY.config.model_validate(options), make_settings(Kind.EXTENSION, "object_store"))


async def test_long_prompt(bucket: Bucket) -> None:
    """What is cut for a platform is whole in the bucket, where the span says."""
    platform = PLATFORMS["new_relic"]
    exporter: Any = Registry().load(Kind.EXPORTER, "new_relic")
    store = extension(bucket.options)
    await store.start(StubHost())
    async with ContractServer(platform.rules) as server:
        moved = {"long_values": {"policy": "move_out", "storage": "object_store"}, "retry_on_failure": QUICK_RETRY}
        options = {"endpoint": server.url + platform.base, **platform.options, **moved}
        async with running(exporter, options, signals=exporter.signals, object_store=store) as r:
            await r.consume(spans_batch([SpanOf(1, attributes={NAME: PROMPT})]))
            await r.until_idle()
        (span,) = server.spans()
    await store.shutdown()
    (key,) = bucket.keys()
    assert bucket.read(key).decode() == PROMPT
    address, beginning = span[f"untrace.content.{NAME}"], span[NAME]
    assert isinstance(address, str)
    assert address.endswith(key.removeprefix("base/"))
    assert isinstance(beginning, str)
    assert len(beginning) < len(PROMPT)


async def test_directory_that_cannot_be_written(tmp_path: Any) -> None:
    """A store that fails makes the request wait."""
    (tmp_path / "file").write_bytes(b"")
    store = extension({"url": f"file://{tmp_path}/file"})
    with pytest.raises(RetryableError, match=r"file://.*: Not a directory"):
        await store.put("a/b.txt", b"x")
