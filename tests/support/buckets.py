"""Buckets of real object stores, as somebody else would read them: not through the code under test."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import re
import urllib.request
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

from tests.support.peers import Azurite

__all__ = ["AzureBucket", "Bucket", "DirectoryBucket", "GcsBucket", "S3Bucket"]


class Bucket(Protocol):
    """A new bucket, and what is in it."""

    options: dict[str, Any]
    """Options of a component that stores there."""

    def keys(self) -> list[str]:
        """Answer the keys of all objects, sorted."""

    def read(self, key: str) -> bytes:
        """Answer an object as it is stored."""

    def headers(self, key: str) -> dict[str, str]:
        """Answer what the store says about an object, with lower-case names."""


def ask(
    method: str, url: str, data: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[bytes, dict[str, str]]:
    """Make a request; raises for all but success."""
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read(), {name.lower(): value for name, value in answer.headers.items()}


SCOPE = "x/20260101/us-east-1/s3/aws4_request"
SOMEBODY = {"authorization": f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=x"}
"""Moto asks for a signature and does not check it."""


class S3Bucket:
    """In moto."""

    def __init__(self, endpoint: str, name: str) -> None:
        self.url = f"{endpoint}/{name}"
        keys = {"access_key_id": "testing-key-id", "secret_access_key": "testing-secret"}
        self.options: dict[str, Any] = {"url": f"s3://{name}/base", "s3": {"endpoint": endpoint} | keys}
        self._ask("PUT", "")

    def keys(self) -> list[str]:
        page, _ = self._ask("GET", "?list-type=2&max-keys=10000")
        return sorted(
            unquote(one.text or "") for one in ElementTree.fromstring(page).iter() if one.tag.endswith("}Key")
        )

    def read(self, key: str) -> bytes:
        return self._ask("GET", f"/{quote(key)}")[0]

    def headers(self, key: str) -> dict[str, str]:
        return self._ask("GET", f"/{quote(key)}")[1]

    def uploads(self) -> int:
        """Answer how many uploads in parts were begun and not ended."""
        return self._ask("GET", "?uploads")[0].count(b"<Upload>")

    def about(self, key: str, what: str) -> bytes:
        """Answer what S3 says of an object when asked for ``acl``, ``tagging`` …"""
        return self._ask("GET", f"/{quote(key)}?{what}")[0]

    def _ask(self, method: str, rest: str) -> tuple[bytes, dict[str, str]]:
        return ask(method, f"{self.url}{rest}", headers=SOMEBODY)


class GcsBucket:
    """In fake-gcs-server."""

    def __init__(self, endpoint: str, name: str) -> None:
        self.api = f"{endpoint}/storage/v1/b"
        self.name = name
        self.options: dict[str, Any] = {"url": f"gs://{name}/base", "gcs": {"endpoint": endpoint, "anonymous": True}}
        ask(
            "POST",
            f"{self.api}?project=test",
            json.dumps({"name": name}).encode(),
            {"content-type": "application/json"},
        )

    def keys(self) -> list[str]:
        page = json.loads(ask("GET", f"{self.api}/{self.name}/o")[0])
        return sorted(item["name"] for item in page.get("items", []))

    def read(self, key: str) -> bytes:
        url = f"{self.api}/{self.name}/o/{quote(key, safe='')}?alt=media"
        data, headers = ask("GET", url, headers={"accept-encoding": "gzip"})
        return data if headers.get("content-encoding") != "gzip" or data[:2] == b"\x1f\x8b" else gzip.compress(data)

    def headers(self, key: str) -> dict[str, str]:
        about = json.loads(ask("GET", f"{self.api}/{self.name}/o/{quote(key, safe='')}")[0])
        return {re.sub("([A-Z])", r"-\1", name).lower(): str(value) for name, value in about.items()}


class AzureBucket:
    """A container in Azurite; requests are signed here once more, by other code."""

    def __init__(self, endpoint: str, name: str) -> None:
        self.url = f"{endpoint}/{Azurite.account}/{name}"
        azure = {"endpoint": f"{endpoint}/{Azurite.account}", "account": Azurite.account, "account_key": Azurite.key}
        self.options: dict[str, Any] = {"url": f"az://{name}/base", "azure": azure}
        self._ask("PUT", self.url, {"restype": "container"})

    def keys(self) -> list[str]:
        page, _ = self._ask("GET", self.url, {"comp": "list", "restype": "container"})
        return sorted(one.text or "" for one in ElementTree.fromstring(page).iter("Name"))

    def read(self, key: str) -> bytes:
        return self._ask("GET", f"{self.url}/{quote(key)}", {})[0]

    def headers(self, key: str) -> dict[str, str]:
        return self._ask("GET", f"{self.url}/{quote(key)}", {})[1]

    def _ask(self, method: str, url: str, query: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        headers = {"x-ms-date": format_datetime(datetime.now(UTC), usegmt=True), "x-ms-version": "2021-12-02"}
        resource = f"/{Azurite.account}{urlsplit(url).path}" + "".join(f"\n{k}:{v}" for k, v in sorted(query.items()))
        named = "".join(f"{k}:{v}\n" for k, v in sorted(headers.items()))
        text = "\n".join([method, *[""] * 11, named + resource])
        proof = hmac.digest(base64.b64decode(Azurite.key), text.encode(), hashlib.sha256)
        headers["authorization"] = f"SharedKey {Azurite.account}:{base64.b64encode(proof).decode()}"
        suffix = "&".join(f"{k}={v}" for k, v in query.items())
        return ask(method, f"{url}?{suffix}" if suffix else url, None, headers)


class DirectoryBucket:
    """A directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.options: dict[str, Any] = {"url": f"file://{path}"}

    def keys(self) -> list[str]:
        return sorted(str(one.relative_to(self.path)) for one in self.path.rglob("*") if one.is_file())

    def read(self, key: str) -> bytes:
        return (self.path / key).read_bytes()

    def headers(self, key: str) -> dict[str, str]:
        return {"content-length": str((self.path / key).stat().st_size)}
