"""Google Cloud, by its metadata server: Compute Engine, Kubernetes Engine, Cloud Run, Functions."""

from __future__ import annotations

from collections.abc import Mapping

from untrace_pipeline.data import Value
from untrace_plugins.processors.resource_detection.config import CloudConfig
from untrace_plugins.processors.resource_detection.machine_facts import Facts, NotHereError

__all__ = ["gcp"]

_METADATA = "http://169.254.169.254"
_HEADERS = {"Metadata-Flavor": "Google"}


async def gcp(facts: Facts, config: CloudConfig) -> Mapping[str, Value]:
    """Ask the metadata server, and look at the environment for what runs here."""
    host = facts.environ.get("GCE_METADATA_HOST")
    url = (config.endpoint or (f"http://{host}" if host else _METADATA)).rstrip("/") + "/computeMetadata/v1"
    project = await facts.get(f"{url}/project/project-id", _HEADERS)
    server = _Server(facts, f"{url}/instance")
    zone = (await server.get("zone") or "").rpartition("/")[2]
    found: dict[str, Value] = {"cloud.provider": "gcp", "cloud.account.id": project}
    if "K_SERVICE" in facts.environ or "CLOUD_RUN_JOB" in facts.environ:
        return {**found, **await _serverless(facts, server)}
    cluster = await server.get("attributes/cluster-name") if "KUBERNETES_SERVICE_HOST" in facts.environ else None
    return {
        **found,
        "cloud.platform": "gcp_kubernetes_engine" if cluster else "gcp_compute_engine",
        "cloud.availability_zone": zone or None,
        "cloud.region": zone.rpartition("-")[0] or None,
        "k8s.cluster.name": cluster,
        "host.id": await server.get("id"),
        "host.name": await server.get("name"),
        "host.type": (await server.get("machine-type") or "").rpartition("/")[2] or None,
        "gcp.gce.instance.name": await server.get("name"),
        "gcp.gce.instance.hostname": await server.get("hostname"),
    }


class _Server:
    """The metadata of the instance."""

    def __init__(self, facts: Facts, url: str) -> None:
        self._facts = facts
        self._url = url

    async def get(self, path: str) -> str | None:
        """Return a value, ``None`` where there is none."""
        try:
            return await self._facts.get(f"{self._url}/{path}", _HEADERS)
        except NotHereError:
            return None


async def _serverless(facts: Facts, server: _Server) -> Mapping[str, Value]:
    environ = facts.environ
    region = (await server.get("region") or "").rpartition("/")[2]
    function = "FUNCTION_TARGET" in environ
    index = environ.get("CLOUD_RUN_TASK_INDEX", "")
    return {
        "cloud.platform": "gcp_cloud_functions" if function else "gcp_cloud_run",
        "cloud.region": region or None,
        "faas.name": environ.get("K_SERVICE") or environ.get("CLOUD_RUN_JOB"),
        "faas.version": environ.get("K_REVISION"),
        "faas.instance": await server.get("id"),
        "gcp.cloud_run.job.execution": environ.get("CLOUD_RUN_EXECUTION"),
        "gcp.cloud_run.job.task_index": int(index) if index.isascii() and index.isdigit() else None,
    }
