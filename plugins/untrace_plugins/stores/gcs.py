"""Google Cloud Storage by its JSON API: an upload in one piece, or one that goes on, with conditions on generations."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from untrace_pipeline.api import Host, ProbeResult
from untrace_pipeline.errors import ConsumeError, RetryableError
from untrace_plugins.clouds.tokens import Fixed, Tokens
from untrace_plugins.clouds.wire import Authorizer, Wire
from untrace_plugins.stores.config import GcsConfig, StoreConfig
from untrace_plugins.stores.parts import pieces
from untrace_plugins.stores.store import StoredObject

__all__ = ["GcsStore"]

ENDPOINT = "https://storage.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
EXISTS = 412
"""The answer to ``ifGenerationMatch=0`` for a name that is there."""
GOES_ON = 308
CHUNK_BYTES = 256 * 1024
"""Chunks of an upload are multiples of this."""
CANCEL_SECONDS = 5.0


class GcsStore:
    """Objects in a bucket."""

    def __init__(self, config: StoreConfig, logger: logging.Logger) -> None:
        self._config = config
        self._endpoint = config.gcs.endpoint or ENDPOINT
        self._wire = Wire(self._endpoint, _authorizer(config.gcs), logger, tls=config.tls, proxy_url=config.proxy_url)
        self._chunk = config.part_size // CHUNK_BYTES * CHUNK_BYTES

    @property
    def destination(self) -> str:
        """Scheme and bucket."""
        return f"gs://{self._config.bucket}"

    def locate(self, key: str) -> str:
        """Return the URL as Google's tools write it."""
        return f"{self.destination}/{self._name(key)}"

    async def start(self, host: Host) -> None:
        """Make the pool of connections."""
        await self._wire.start(host)

    async def put(self, thing: StoredObject) -> bool:
        """Store an object, in chunks where it is large."""
        about = await asyncio.to_thread(self._about, thing)
        if len(thing.data) > self._config.part_size:
            return await self._put_chunks(about, thing.data)
        border = uuid.uuid4().hex
        head = f"--{border}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n".encode() + orjson.dumps(about)
        middle = f"\r\n--{border}\r\ncontent-type: {thing.content_type}\r\n\r\n".encode()
        body = b"".join((head, middle, thing.data, f"\r\n--{border}--".encode()))
        headers = {"content-type": f"multipart/related; boundary={border}"}
        answer = await self._wire.send("POST", self._url("multipart"), headers, body, also={EXISTS})
        return answer.status != EXISTS

    async def probe(self) -> Sequence[ProbeResult]:
        """Look at one name in the bucket."""
        return await self._wire.ask(
            "GET", f"{self._endpoint}/storage/v1/b/{quote(self._config.bucket)}/o?maxResults=1", {}
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    def _name(self, key: str) -> str:
        return f"{self._config.base}/{key}" if self._config.base else key

    def _url(self, kind: str) -> str:
        gcs = self._config.gcs
        query = {
            "uploadType": kind,
            "ifGenerationMatch": "0" if self._config.create_only else "",
            "predefinedAcl": gcs.predefined_acl,
            "kmsKeyName": gcs.kms_key,
        }
        wanted = urlencode({name: value for name, value in query.items() if value})
        return f"{self._endpoint}/upload/storage/v1/b/{quote(self._config.bucket)}/o?{wanted}"

    def _about(self, thing: StoredObject) -> Mapping[str, str]:
        """Return the resource of an object; the store compares the checksum with what it got."""
        digest = hashlib.md5(thing.data, usedforsecurity=False).digest()
        about = {
            "name": self._name(thing.key),
            "contentType": thing.content_type,
            "contentEncoding": thing.content_encoding,
            # Otherwise the store would decompress it for readers who do not say that they can.
            "cacheControl": "no-transform" if thing.content_encoding else "",
            "storageClass": self._config.gcs.storage_class,
            "md5Hash": base64.b64encode(digest).decode(),
        }
        return {name: value for name, value in about.items() if value}

    # ----------------------------------------------------------------- chunks

    async def _put_chunks(self, about: Mapping[str, str], data: bytes) -> bool:
        headers = {"content-type": "application/json; charset=UTF-8", "x-upload-content-type": about["contentType"]}
        begun = await self._wire.send("POST", self._url("resumable"), headers, orjson.dumps(about), also={EXISTS})
        if begun.status == EXISTS:
            return False
        session = begun.headers.get("Location")
        if not session:
            raise RetryableError("the store began an upload without saying where it goes on")
        try:
            return await self._send_chunks(session, data)
        except BaseException:
            await self._cancel(session)
            raise

    async def _send_chunks(self, session: str, data: bytes) -> bool:
        start, status = 0, GOES_ON
        for chunk in pieces(data, self._chunk):
            end = start + len(chunk)
            headers = {
                "content-range": f"bytes {start}-{end - 1}/{len(data)}",
                "content-type": "application/octet-stream",
            }
            status = (await self._wire.send("PUT", session, headers, bytes(chunk), also={GOES_ON, EXISTS})).status
            if status == EXISTS:
                return False
            start = end
        if status == GOES_ON:
            raise RetryableError("the store did not take all of an upload")
        return True

    async def _cancel(self, session: str) -> None:
        with suppress(ConsumeError, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                await self._wire.send("DELETE", session, {}, also={404, 499})


def _authorizer(gcs: GcsConfig) -> Authorizer:
    if gcs.anonymous:
        return Fixed()
    if gcs.access_token:
        return Fixed(authorization=f"Bearer {gcs.access_token.reveal()}")
    return Tokens(_google_tokens(gcs.credentials_file), "Google")


def _google_tokens(path: str) -> Any:
    """Return what fetches tokens; the library is asked for when the first is needed, but must be there now."""
    import google.auth  # noqa: PLC0415  only where no token was given
    from google.auth.transport.requests import Request  # noqa: PLC0415
    from google.oauth2 import service_account  # noqa: PLC0415

    of_file: Any = service_account.Credentials.from_service_account_file

    @cache
    def find() -> Any:
        if path:
            return of_file(path, scopes=[SCOPE])
        return google.auth.default(scopes=[SCOPE])[0]

    def fetch() -> tuple[str, float]:
        credentials = find()
        credentials.refresh(Request())
        return credentials.token, credentials.expiry.replace(tzinfo=UTC).timestamp()

    return fetch
