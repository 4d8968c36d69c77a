"""A stream of Kinesis in moto, as somebody else would read it."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.support.buckets import SCOPE, ask

__all__ = ["Stream"]


class Stream:
    """A new stream with some shards."""

    def __init__(self, endpoint: str, name: str, shards: int = 2) -> None:
        self.name = name
        self.endpoint = endpoint
        keys = {"access_key_id": "testing-key-id", "secret_access_key": "testing-secret"}
        self.options: dict[str, Any] = {"aws": {"stream_name": name, "kinesis_endpoint": endpoint} | keys}
        self.call("CreateStream", StreamName=name, ShardCount=shards)

    def records(self) -> dict[str, list[tuple[str, bytes]]]:
        """Answer key and data of all records, by shard."""
        described = self.call("DescribeStream", StreamName=self.name)["StreamDescription"]
        return {shard["ShardId"]: self._of(shard["ShardId"]) for shard in described["Shards"]}

    def call(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Make a call and answer its result."""
        proof = f"AWS4-HMAC-SHA256 Credential={SCOPE.replace('s3', 'kinesis')}, SignedHeaders=host, Signature=x"
        headers = {
            "authorization": proof,
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"Kinesis_20131202.{action}",
        }
        page, _ = ask("POST", f"{self.endpoint}/", json.dumps(arguments).encode(), headers)
        return json.loads(page) if page else {}

    def _of(self, shard: str) -> list[tuple[str, bytes]]:
        iterator = self.call("GetShardIterator", StreamName=self.name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        found: list[tuple[str, bytes]] = []
        while rows := (page := self.call("GetRecords", ShardIterator=iterator))["Records"]:
            found += [(row["PartitionKey"], base64.b64decode(row["Data"])) for row in rows]
            iterator = page["NextShardIterator"]
        return found
