"""Azure Blob Storage: a block blob in one piece or in blocks, with conditional writes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from functools import partial
from urllib.parse import parse_qsl, quote, urlsplit

from untrace_pipeline.api import Host, ProbeResult
from untrace_plugins.clouds.tokens import Fixed, Tokens
from untrace_plugins.clouds.wire import Authorizer, Wire, word_of
from untrace_plugins.stores.config import AzureConfig, StoreConfig
from untrace_plugins.stores.parts import at_once, pieces
from untrace_plugins.stores.store import StoredObject

__all__ = ["AzureStore", "SharedKey"]

VERSION = "2021-12-02"
"""Of the API: the oldest with all that is used here, so that every emulator knows it."""
SCOPE = "https://storage.azure.com/.default"
CONFLICTS = {409, 412}
EXISTS = {"BlobAlreadyExists", "ConditionNotMet"}
"""Azure's words for ``If-None-Match: *`` and a name that is there."""

_SIGNED = (
    *("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date"),
    *("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"),
)
"""Headers of the string to sign, in this order."""


class AzureStore:
    """Blobs in a container."""

    def __init__(self, config: StoreConfig, logger: logging.Logger) -> None:
        self._config = config
        azure = config.azure
        endpoint = azure.endpoint or f"https://{azure.account}.blob.core.windows.net"
        self._base = f"{endpoint}/{quote(config.bucket)}"
        self._sas = azure.sas_token.reveal().lstrip("?")
        secrets = [self._sas, *(value for _, value in parse_qsl(self._sas))]
        self._wire = Wire(
            endpoint, _authorizer(azure), logger, tls=config.tls, proxy_url=config.proxy_url, secrets=secrets
        )
        self._condition = {"if-none-match": "*"} if config.create_only else {}

    @property
    def destination(self) -> str:
        """Scheme and container."""
        return f"az://{self._config.bucket}"

    def locate(self, key: str) -> str:
        """Return the URL of the blob, without a signature."""
        return f"{self._base}/{self._name(key)}"

    async def start(self, host: Host) -> None:
        """Make the pool of connections."""
        await self._wire.start(host)

    async def put(self, thing: StoredObject) -> bool:
        """Store a blob, in blocks where it is large."""
        about = self._about(thing) | self._condition
        if len(thing.data) > self._config.part_size:
            names = await self._put_blocks(thing)
            rows = "".join(f"<Latest>{name}</Latest>" for name in names)
            return await self._create(thing, "comp=blocklist", about, f"<BlockList>{rows}</BlockList>".encode())
        return await self._create(thing, "", about | {"x-ms-blob-type": "BlockBlob"}, thing.data)

    async def probe(self) -> Sequence[ProbeResult]:
        """Look at one name in the bucket."""
        query = "&".join(filter(None, ("restype=container&comp=list&maxresults=1", self._sas)))
        return await self._wire.ask("GET", f"{self._base}?{query}", _around(b""))

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    def _name(self, key: str) -> str:
        return f"{self._config.base}/{key}" if self._config.base else key

    def _url(self, key: str, query: str) -> str:
        wanted = "&".join(filter(None, (query, self._sas)))
        return f"{self._base}/{quote(self._name(key), safe='/-_.~')}" + (f"?{wanted}" if wanted else "")

    async def _create(self, thing: StoredObject, query: str, about: Mapping[str, str], body: bytes) -> bool:
        headers = {**about, **await asyncio.to_thread(_around, body)}
        answer = await self._wire.send("PUT", self._url(thing.key, query), headers, body, also=CONFLICTS)
        if answer.status not in CONFLICTS:
            return True
        if word_of(answer) not in EXISTS:  # a lease, a snapshot, a container that is being deleted
            raise self._wire.refusal(answer)
        return False

    async def _put_blocks(self, thing: StoredObject) -> list[str]:
        """Send the blocks; those that are never made a blob of are removed by the service after a week."""
        parts = list(pieces(thing.data, self._config.part_size))
        names = [base64.b64encode(f"{number:08}".encode()).decode() for number in range(len(parts))]
        calls = [partial(self._put_block, thing.key, name, part) for name, part in zip(names, parts, strict=True)]
        await at_once(calls, self._config.part_concurrency)
        return names

    async def _put_block(self, key: str, name: str, part: memoryview) -> None:
        body = bytes(part)
        headers = await asyncio.to_thread(_around, body)
        await self._wire.send("PUT", self._url(key, f"comp=block&blockid={quote(name, safe='')}"), headers, body)

    def _about(self, thing: StoredObject) -> dict[str, str]:
        about = {
            "x-ms-blob-content-type": thing.content_type,
            "x-ms-blob-content-encoding": thing.content_encoding,
            "x-ms-access-tier": self._config.azure.access_tier,
            "x-ms-encryption-scope": self._config.azure.encryption_scope,
        }
        return {name: value for name, value in about.items() if value}


def _around(body: bytes) -> dict[str, str]:
    """Return the headers that every request has; the service compares the checksum with what it got."""
    return {
        "x-ms-version": VERSION,
        "x-ms-date": formatdate(usegmt=True),
        "content-type": "application/octet-stream",
        "content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
    }


def _authorizer(azure: AzureConfig) -> Authorizer:
    if azure.account_key:
        return SharedKey(azure.account, azure.account_key.reveal())
    return Fixed() if azure.sas_token else Tokens(_azure_tokens(), "Azure")


def _azure_tokens() -> Callable[[], tuple[str, float]]:
    """Return what fetches tokens; the library looks for credentials when the first is needed."""
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415  only where no key was given

    credential = DefaultAzureCredential()

    def fetch() -> tuple[str, float]:
        token = credential.get_token(SCOPE)
        return token.token, float(token.expires_on)

    return fetch


class SharedKey:
    """Signs requests with the key of an account (Azure Storage, "Authorize with Shared Key")."""

    def __init__(self, account: str, key: str) -> None:
        """``key`` is base64."""
        self._account = account
        self._key = base64.b64decode(key)

    async def headers(self, method: str, url: str, headers: Mapping[str, str], data: bytes) -> Mapping[str, str]:
        """Return the headers with a signature of them and of the URL."""
        named = {name.lower(): value for name, value in headers.items()}
        signed = named | ({"content-length": str(len(data))} if data else {})
        lines = [method, *(signed.get(name, "") for name in _SIGNED)]
        lines += [f"{name}:{value.strip()}" for name, value in sorted(named.items()) if name.startswith("x-ms-")]
        text = "\n".join([*lines, self._resource(url)])
        proof = base64.b64encode(hmac.digest(self._key, text.encode(), hashlib.sha256)).decode()
        return {**named, "authorization": f"SharedKey {self._account}:{proof}"}

    def renew(self) -> None:
        """There is no other key."""

    def _resource(self, url: str) -> str:
        parts = urlsplit(url)
        query = sorted((name.lower(), value) for name, value in parse_qsl(parts.query, keep_blank_values=True))
        return f"/{self._account}{parts.path}" + "".join(f"\n{name}:{value}" for name, value in query)
