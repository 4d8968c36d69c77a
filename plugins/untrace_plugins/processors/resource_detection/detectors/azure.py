"""Azure virtual machines, by the instance metadata service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from untrace_pipeline.conditions.patterns import compile_pattern
from untrace_pipeline.data import Value
from untrace_plugins.processors.resource_detection.config import TaggedConfig
from untrace_plugins.processors.resource_detection.machine_facts import Facts

__all__ = ["azure"]

_METADATA = "http://169.254.169.254"
_QUERY = "/metadata/instance/compute?api-version=2020-09-01&format=json"
_NAMES = {
    "cloud.region": "location",
    "cloud.account.id": "subscriptionId",
    "host.id": "vmId",
    "host.name": "name",
    "azure.vm.name": "name",
    "azure.vm.size": "vmSize",
    "azure.vm.scaleset.name": "vmScaleSetName",
    "azure.resourcegroup.name": "resourceGroupName",
    "cloud.availability_zone": "zone",
}


async def azure(facts: Facts, config: TaggedConfig) -> Mapping[str, Value]:
    """Ask for the virtual machine."""
    found = await facts.get_json((config.endpoint or _METADATA).rstrip("/") + _QUERY, {"Metadata": "true"})
    values = {name: value for name, key in _NAMES.items() if isinstance(value := found.get(key), str) and value}
    return {"cloud.provider": "azure", "cloud.platform": "azure_vm", **values, **_tags(found, config)}


def _tags(found: Mapping[str, Any], config: TaggedConfig) -> dict[str, Value]:
    tags = found.get("tagsList")
    pairs = (
        [(one.get("name"), one.get("value")) for one in tags if isinstance(one, dict)] if isinstance(tags, list) else []
    )
    return {
        f"azure.tag.{name}": str(value)
        for name, value in pairs
        if isinstance(name, str) and any(compile_pattern(one).search(name) for one in config.tags)
    }
