"""The exporter ``opensearch``: what is different from ``elasticsearch``."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from tests.support.exporters import QUICK_RETRY, running
from tests.support.http_peer import HttpPeer, Reply
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.opensearch import FACTORY


@pytest.mark.parametrize("option", ["api_key", "cloudid"])
def test_what_only_elastic_has_is_unknown(option: str) -> None:
    """A configuration error, not an option without effect."""
    with pytest.raises(ValidationError, match=option):
        FACTORY.config.model_validate({"endpoint": "http://a:9200", option: "x"})


async def test_bulk_requests_name_no_dynamic_templates() -> None:
    """OpenSearch refuses whole requests that do; metric points have ids here."""
    options = {"endpoint": "", "retry_on_failure": QUICK_RETRY, "sending_queue": {"batch": None}}
    async with HttpPeer(Reply(200, {"errors": False, "items": []})) as server:
        async with running(FACTORY, options | {"endpoint": server.url}) as r:
            await r.consume(make_batch(Signal.METRICS, 5))
            await r.until_idle()
        actions = [line["create"] for line in server.asked[0].lines()[::2]]
    assert {frozenset(action) for action in actions} == {frozenset({"_index", "_id"})}
    assert "dynamic_templates" not in json.dumps(actions)
