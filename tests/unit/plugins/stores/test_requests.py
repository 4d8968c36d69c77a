"""What stores are asked for besides the object itself."""

from __future__ import annotations

import logging
from typing import Any

from tests.support.http_peer import Asked, HttpPeer, Reply
from untrace_pipeline.testing import StubHost
from untrace_plugins.stores import StoreConfig, StoredObject, open_store


async def asked_for(url: str, status: int, **options: Any) -> Asked:
    """Return the request that stores a small object; ``HERE`` in the options is the address of the server."""
    async with HttpPeer(rule=lambda _asked: Reply(status, b"{}")) as peer:
        given = {
            cloud: {name: peer.url if value == "HERE" else value for name, value in more.items()}
            for cloud, more in options.items()
        }
        store = open_store(StoreConfig.model_validate({"url": url, **given}), logging.getLogger(__name__))
        await store.start(StubHost())
        try:
            assert await store.put(StoredObject("a", b"1"))
        finally:
            await store.close()
        (asked,) = peer.asked
    return asked


async def test_options_of_gcs() -> None:
    """Who may read an object, and by which key it is encrypted."""
    gcs = {"endpoint": "HERE", "anonymous": True, "predefined_acl": "projectPrivate", "kms_key": "projects/p/k"}
    asked = await asked_for("gs://b", 200, gcs=gcs)
    assert (asked.query["predefinedAcl"], asked.query["kmsKeyName"]) == ("projectPrivate", "projects/p/k")


async def test_options_of_azure() -> None:
    """How an object is kept, and under which scope it is encrypted."""
    azure = {
        "endpoint": "HERE",
        "account": "a",
        "sas_token": "sig=x",
        "access_tier": "Cool",
        "encryption_scope": "ours",
    }
    asked = await asked_for("az://c", 201, azure=azure)
    assert asked.headers["x-ms-access-tier"] == "Cool"
    assert asked.headers["x-ms-encryption-scope"] == "ours"
