"""The exporter ``opensearch``: what is different from ``elasticsearch``."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError

from tests.support.exporters import QUICK_RETRY, running
from tests.support.http_peer import Asked, HttpPeer, Reply
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
    options = {
        "endpoint": "",
        "index_template": {"install": False},
        "retry_on_failure": QUICK_RETRY,
        "sending_queue": {"batch": None},
    }
    async with HttpPeer(Reply(200, {"errors": False, "items": []})) as server:
        async with running(FACTORY, options | {"endpoint": server.url}) as r:
            await r.consume(make_batch(Signal.METRICS, 5))
            await r.until_idle()
        actions = [line["create"] for line in server.asked[0].lines()[::2]]
    assert {frozenset(action) for action in actions} == {frozenset({"_index", "_id"})}
    assert "dynamic_templates" not in json.dumps(actions)


def signature(asked: Asked, raw_query: str, body_digest: str, key: str, region: str, service: str) -> str:
    """Return the Authorization header that a request should have (AWS Signature Version 4), by another way."""
    given = asked.headers["authorization"]
    names = given.partition("SignedHeaders=")[2].partition(",")[0]
    canonical = "\n".join([f"{name}:{asked.headers[name].strip()}" for name in names.split(";")])
    request = "\n".join([asked.method, asked.path, raw_query, f"{canonical}\n", names, body_digest])
    moment = asked.headers["x-amz-date"]
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()])
    secret = f"AWS4{key}".encode()
    for part in (moment[:8], region, service, "aws4_request"):
        secret = hmac.new(secret, part.encode(), "sha256").digest()
    proof = hmac.new(secret, text.encode(), "sha256").hexdigest()
    return f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={names}, Signature={proof}"


@pytest.mark.parametrize("service", ["es", "aoss"])
async def test_requests_are_signed_for_amazon(service: str) -> None:
    """What is signed is what arrives: query, compressed body, and the digest that serverless collections want."""
    aws = {
        "region": "eu-west-1",
        "access_key_id": "AKIDEXAMPLE",
        "secret_access_key": "secret-of-ours",
        "service": service,
    }
    plain = {"compression": "none", "index_template": {"install": False}}
    options = {"retry_on_failure": QUICK_RETRY, "sending_queue": {"batch": None}, "aws": aws, **plain}
    async with HttpPeer(Reply(200, {"errors": False, "items": []})) as server:
        async with running(FACTORY, options | {"endpoint": server.url}) as r:
            await r.consume(make_batch(items=3))
            await r.until_idle()
            assert r.meter.value("exporter_sent_spans") == 3
        [asked] = server.asked
    digest = hashlib.sha256(asked.body).hexdigest()
    assert asked.headers["x-amz-content-sha256"] == digest
    query = urlsplit(f"/{asked.raw_path}").query
    wanted = signature(asked, query, digest, "secret-of-ours", "eu-west-1", service)
    assert asked.headers["authorization"] == wanted
    assert asked.headers["host"] in server.url


def test_a_request_has_one_proof() -> None:
    """Not a signature and a password."""
    with pytest.raises(ValidationError, match="either aws, or user and auth"):
        FACTORY.config.model_validate({"endpoint": "http://a:1", "aws": {}, "user": "me", "password": "secret"})
