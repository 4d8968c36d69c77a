"""S3 and whatever speaks its protocol: PUT, or an upload in parts, with conditional writes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from untrace_pipeline.api import Host, ProbeResult
from untrace_pipeline.errors import ConsumeError, RetryableError
from untrace_plugins.clouds.aws import Signer
from untrace_plugins.clouds.wire import Wire, word_of
from untrace_plugins.stores.config import Checksum, S3Config, StoreConfig
from untrace_plugins.stores.parts import at_once, pieces
from untrace_plugins.stores.store import StoredObject

__all__ = ["S3Store"]

EXISTS = 412
"""S3's answer to ``If-None-Match: *`` for a key that is there."""
MOST_PARTS = 10_000
ABORT_SECONDS = 5.0
"""What is left of an upload that could not be aborted costs money until a lifecycle rule removes it."""

_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")
_FAILED = b"<Error>"
_XML = {"content-type": "application/xml"}


class S3Store:
    """Objects in a bucket."""

    def __init__(self, config: StoreConfig, logger: logging.Logger) -> None:
        self._config = config
        self._base = _address(config)
        self._wire = Wire(self._base, Signer(config.s3, "s3"), logger, tls=config.tls, proxy_url=config.proxy_url)
        self._about = _about(config.s3)
        self._condition = {"if-none-match": "*"} if config.create_only else {}

    @property
    def destination(self) -> str:
        """Scheme and bucket."""
        return f"s3://{self._config.bucket}"

    def locate(self, key: str) -> str:
        """Return the S3 URL."""
        return f"{self.destination}/{self._key(key)}"

    async def start(self, host: Host) -> None:
        """Make the pool of connections."""
        await self._wire.start(host)

    async def put(self, thing: StoredObject) -> bool:
        """Store an object, in parts where it is large."""
        url = f"{self._base}/{quote(self._key(thing.key), safe='/-_.~')}"
        about = self._about | {"content-type": thing.content_type}
        if thing.content_encoding:
            about["content-encoding"] = thing.content_encoding
        if len(thing.data) > self._config.part_size:
            return await self._put_parts(url, thing.data, about)
        headers = about | self._condition | await asyncio.to_thread(self._checksum, thing.data)
        return (await self._wire.send("PUT", url, headers, thing.data, also={EXISTS})).status != EXISTS

    async def probe(self) -> Sequence[ProbeResult]:
        """Look at one name in the bucket."""
        return await self._wire.ask("GET", f"{self._base}?list-type=2&max-keys=1", {"content-type": "application/xml"})

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    def _key(self, key: str) -> str:
        return f"{self._config.base}/{key}" if self._config.base else key

    # ------------------------------------------------------------------ parts

    async def _put_parts(self, url: str, data: bytes, about: Mapping[str, str]) -> bool:
        begun = await self._wire.send("POST", f"{url}?uploads=", about)
        found = _UPLOAD_ID.search(begun.body)
        if found is None:
            raise RetryableError("the store began an upload without naming it")
        upload = found[1].decode()
        try:
            return await self._complete(url, upload, await self._send_parts(url, upload, data))
        except BaseException:
            await self._abort(url, upload)
            raise

    async def _send_parts(self, url: str, upload: str, data: bytes) -> list[str]:
        size = max(self._config.part_size, -(-len(data) // MOST_PARTS))
        calls = [
            partial(self._send_part, url, {"partNumber": number, "uploadId": upload}, part)
            for number, part in enumerate(pieces(data, size), start=1)
        ]
        return await at_once(calls, self._config.part_concurrency)

    async def _send_part(self, url: str, query: Mapping[str, object], part: memoryview) -> str:
        headers = {"content-type": "application/octet-stream"}
        answer = await self._wire.send("PUT", f"{url}?{urlencode(query)}", headers, bytes(part))
        return answer.headers.get("ETag", "")

    async def _complete(self, url: str, upload: str, tags: list[str]) -> bool:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>"
            for number, tag in enumerate(tags, start=1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        query = urlencode({"uploadId": upload})
        answer = await self._wire.send("POST", f"{url}?{query}", _XML | self._condition, body, also={EXISTS})
        if answer.status == EXISTS:
            await self._abort(url, upload)
            return False
        if _FAILED in answer.body:  # S3 begins to answer with 200 before it knows
            raise RetryableError(f"HTTP 200 {word_of(answer)}: the parts were not put together")
        return True

    async def _abort(self, url: str, upload: str) -> None:
        with suppress(ConsumeError, TimeoutError):
            async with asyncio.timeout(ABORT_SECONDS):
                await self._wire.send("DELETE", f"{url}?{urlencode({'uploadId': upload})}", {}, also={404})

    def _checksum(self, data: bytes) -> dict[str, str]:
        match self._config.s3.checksum:
            case Checksum.CRC32:
                digest = zlib.crc32(data).to_bytes(4, "big")
            case Checksum.SHA256:
                digest = hashlib.sha256(data).digest()
            case Checksum.NONE:
                return {}
        return {f"x-amz-checksum-{self._config.s3.checksum}": base64.b64encode(digest).decode()}


def _address(config: StoreConfig) -> str:
    """Return the URL of the bucket."""
    s3, bucket = config.s3, config.bucket
    in_path = s3.force_path_style if s3.force_path_style is not None else bool(s3.endpoint) or "." in bucket
    suffix = "amazonaws.com.cn" if s3.region_in_force.startswith("cn-") else "amazonaws.com"
    endpoint = s3.endpoint or f"https://s3.{s3.region_in_force}.{suffix}"
    if in_path:
        return f"{endpoint}/{bucket}"
    scheme, _, rest = endpoint.partition("://")
    return f"{scheme}://{bucket}.{rest}"


def _about(s3: S3Config) -> dict[str, str]:
    """Return the headers that say how objects are to be kept."""
    encryption = s3.server_side_encryption
    about = {
        "x-amz-storage-class": s3.storage_class,
        "x-amz-acl": s3.acl,
        "x-amz-tagging": urlencode(s3.tags, quote_via=quote),
        "x-amz-server-side-encryption": encryption.algorithm if encryption else "",
        "x-amz-server-side-encryption-aws-kms-key-id": encryption.kms_key_id if encryption else "",
        "x-amz-server-side-encryption-bucket-key-enabled": "true" if encryption and encryption.bucket_key else "",
    }
    return {name: value for name, value in about.items() if value}
