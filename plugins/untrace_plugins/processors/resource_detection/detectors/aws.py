"""Amazon: EC2 (IMDSv2), ECS and Fargate (task metadata v4), Lambda (environment)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from untrace_pipeline.conditions.patterns import compile_pattern
from untrace_pipeline.data import Value
from untrace_plugins.processors.resource_detection.config import DetectorConfig, TaggedConfig
from untrace_plugins.processors.resource_detection.machine_facts import Facts, NotHereError

__all__ = ["ec2", "ecs", "lambda_function"]

_METADATA = "http://169.254.169.254"
_LIFE_SECONDS = "60"
"""Of the session with the metadata service."""


async def ec2(facts: Facts, config: TaggedConfig) -> Mapping[str, Value]:
    """Ask the instance metadata service, version 2."""
    endpoint = config.endpoint or facts.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _METADATA
    url = f"{endpoint.rstrip('/')}/latest"
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": _LIFE_SECONDS}
    headers = {"X-aws-ec2-metadata-token": await facts.get(f"{url}/api/token", ttl, "PUT")}
    document = await facts.get_json(f"{url}/dynamic/instance-identity/document", headers)
    return {
        "cloud.provider": "aws",
        "cloud.platform": "aws_ec2",
        "cloud.region": _text(document, "region"),
        "cloud.account.id": _text(document, "accountId"),
        "cloud.availability_zone": _text(document, "availabilityZone"),
        "host.id": _text(document, "instanceId"),
        "host.image.id": _text(document, "imageId"),
        "host.type": _text(document, "instanceType"),
        "host.name": await _optional(facts, f"{url}/meta-data/hostname", headers),
        **await _tags(facts, config, f"{url}/meta-data/tags/instance", headers),
    }


async def _tags(facts: Facts, config: TaggedConfig, url: str, headers: Mapping[str, str]) -> dict[str, Value]:
    if not config.tags:
        return {}
    names = (await _optional(facts, url, headers) or "").split("\n")
    wanted = [name for name in names if name and any(compile_pattern(one).search(name) for one in config.tags)]
    return {f"ec2.tag.{name}": await _optional(facts, f"{url}/{name}", headers) for name in wanted}


async def _optional(facts: Facts, url: str, headers: Mapping[str, str]) -> str | None:
    try:
        return await facts.get(url, headers)
    except NotHereError:
        return None


async def ecs(facts: Facts, _config: DetectorConfig) -> Mapping[str, Value]:
    """Ask the task metadata endpoint that ECS names."""
    url = facts.environ.get("ECS_CONTAINER_METADATA_URI_V4") or facts.environ.get("ECS_CONTAINER_METADATA_URI")
    if not url:
        msg = "ECS_CONTAINER_METADATA_URI_V4 is not set"
        raise NotHereError(msg)
    task, own = await facts.get_json(f"{url}/task"), await facts.get_json(url)
    arn = _text(task, "TaskARN") or ""
    _, _, _, region, account, _ = (arn.split(":", 5) + [""] * 6)[:6]
    cluster = _text(task, "Cluster")
    if cluster and not cluster.startswith("arn:"):
        cluster = f"{arn.rpartition(':')[0]}:cluster/{cluster}"
    return {
        "cloud.provider": "aws",
        "cloud.platform": "aws_ecs",
        "cloud.region": region or None,
        "cloud.account.id": account or None,
        "cloud.availability_zone": _text(task, "AvailabilityZone"),
        "aws.ecs.cluster.arn": cluster,
        "aws.ecs.task.arn": arn or None,
        "aws.ecs.task.id": arn.rpartition("/")[2] or None,
        "aws.ecs.task.family": _text(task, "Family"),
        "aws.ecs.task.revision": _text(task, "Revision"),
        "aws.ecs.launchtype": (_text(task, "LaunchType") or "").lower() or None,
        **_logs(own.get("LogOptions"), region, account),
    }


def _logs(options: Any, region: str, account: str) -> dict[str, Value]:
    if not isinstance(options, dict) or not isinstance(group := options.get("awslogs-group"), str):
        return {}
    own_region = options.get("awslogs-region") or region
    arn = f"arn:aws:logs:{own_region}:{account}:log-group:{group}"
    found: dict[str, Value] = {"aws.log.group.names": [group], "aws.log.group.arns": [f"{arn}:*"]}
    if isinstance(stream := options.get("awslogs-stream"), str):
        found |= {"aws.log.stream.names": [stream], "aws.log.stream.arns": [f"{arn}:log-stream:{stream}"]}
    return found


async def lambda_function(facts: Facts, _config: DetectorConfig) -> Mapping[str, Value]:
    """Read what Lambda puts into the environment of a function."""
    environ = facts.environ
    name = environ.get("AWS_LAMBDA_FUNCTION_NAME")
    if not name:
        msg = "AWS_LAMBDA_FUNCTION_NAME is not set"
        raise NotHereError(msg)
    memory = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    group, stream = environ.get("AWS_LAMBDA_LOG_GROUP_NAME"), environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
    return {
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "cloud.region": environ.get("AWS_REGION"),
        "faas.name": name,
        "faas.version": environ.get("AWS_LAMBDA_FUNCTION_VERSION"),
        "faas.instance": stream,
        "faas.max_memory": int(memory) << 20 if memory.isascii() and memory.isdigit() else None,
        "aws.log.group.names": [group] if group else None,
        "aws.log.stream.names": [stream] if stream else None,
    }


def _text(holder: Mapping[str, Any], name: str) -> str | None:
    value = holder.get(name)
    return value if isinstance(value, str) and value else None
