"""Data meets its pod: against an API server that lists, watches, forgets, cuts and refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubernetes_api import FakeApi
from tests.support.pods import pod
from untrace_pipeline.api import Kind, StartError, Status
from untrace_pipeline.data import ATTRIBUTES, Batch, Context, Field, Level, Signal
from untrace_pipeline.testing import RecordingMeter, StubHost, make_batch, make_settings
from untrace_plugins.kubernetes import watch
from untrace_plugins.kubernetes.cluster import Cluster
from untrace_plugins.processors.k8s_attributes.config import METADATA, K8sAttributesConfig
from untrace_plugins.processors.k8s_attributes.processor import K8sAttributes


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(watch, "LONGEST_WAIT_SECONDS", 0.05)


class Joined:
    """A processor that runs."""

    def __init__(self, cluster: Cluster | None, options: dict[str, Any]) -> None:
        self.meter = RecordingMeter()
        self.host = StubHost()
        config = K8sAttributesConfig.model_validate(options)
        self.processor = K8sAttributes(
            config, make_settings(Kind.PROCESSOR, "k8s_attributes", meter=self.meter), cluster
        )

    def write(self, peer: str = "", signal: Signal = Signal.TRACES, **resource: Any) -> dict[str, Any]:
        """Return what is on a resource afterwards, besides what the test data has."""
        own = {key.replace("__", "."): value for key, value in resource.items()}
        batch = make_batch(signal, 2, resource=own, context=Context(peer=peer))
        before = batch.column(Field(Level.RESOURCE, ATTRIBUTES))[0]
        result = self.processor.process(batch)
        assert result is not None
        after = Batch(signal, result.to_otlp()).column(Field(Level.RESOURCE, ATTRIBUTES))[0]
        assert isinstance(before, dict)
        assert isinstance(after, dict)
        return {key: value for key, value in after.items() if before.get(key) != value}

    async def until(self, expected: dict[str, Any], **question: Any) -> None:
        """Wait until a resource gets just this."""
        async with asyncio.timeout(60):
            while self.write(**question) != expected:
                await asyncio.sleep(0.002)


@asynccontextmanager
async def joining(api: FakeApi, *, wait: bool = True, **options: Any) -> AsyncIterator[Joined]:
    """Run a processor."""
    joined = Joined(api.cluster, {"wait_for_metadata": wait, **options})
    await joined.processor.start(joined.host)
    try:
        yield joined
    finally:
        await joined.processor.shutdown()


DEFAULT = {
    "k8s.namespace.name": "prod",
    "k8s.pod.name": "shop-7d9f-x1",
    "k8s.pod.uid": "uid-shop-7d9f-x1",
    "k8s.pod.start_time": "2026-01-01T00:00:00Z",
    "k8s.deployment.name": "shop",
    "k8s.node.name": "node-1",
    "container.image.name": "registry.io/team/shop",
    "container.image.tag": "1.2",
}


@pytest.mark.parametrize(
    "found",
    [
        {"peer": "10.0.0.1:4317"},
        {"k8s__pod__ip": "10.0.0.1"},
        {"k8s__pod__uid": "uid-shop-7d9f-x1"},
        {"host__name": "10.0.0.1"},
        {"peer": "192.168.0.9:1", "k8s__pod__ip": "10.0.0.1"},
    ],
)
@pytest.mark.parametrize("signal", list(Signal))
async def test_pod_is_found_without_rules(tmp_path: Path, found: dict[str, Any], signal: Signal) -> None:
    """By its address or uid on the resource, by the client's address, by a host name that is one."""
    async with FakeApi(tmp_path) as api:
        await api.put_object("pods", pod())
        async with joining(api) as joined:
            known = {key.replace("__", ".") for key in found}
            assert joined.write(signal=signal, **found) == {k: v for k, v in DEFAULT.items() if k not in known}
            assert joined.write(peer="10.9.9.9:1") == {}
            assert joined.meter.value("processor_k8s_attributes_resources", outcome="found") == 1
            assert joined.meter.value("processor_k8s_attributes_resources", outcome="unknown") == 1
            assert joined.meter.value("processor_k8s_attributes_objects", kind="pods") == 1


async def test_what_a_resource_says_itself_stays(tmp_path: Path) -> None:
    """Attributes that are there are not written over."""
    async with FakeApi(tmp_path) as api:
        await api.put_object("pods", pod())
        async with joining(api) as joined:
            found = joined.write(peer="10.0.0.1:1", k8s__pod__name="mine", k8s__deployment__name="other")
            assert "k8s.pod.name" not in found
            assert "k8s.deployment.name" not in found


@pytest.mark.parametrize(
    ("sources", "resource", "known"),
    [
        ([{"from": "connection"}], {"peer": "10.0.0.1:1"}, True),
        ([{"from": "connection"}], {"k8s__pod__ip": "10.0.0.1"}, False),
        ([{"from": "resource_attribute", "name": "k8s.pod.uid"}], {"k8s__pod__uid": "uid-shop-7d9f-x1"}, True),
        (
            [
                {"from": "resource_attribute", "name": "k8s.pod.name"},
                {"from": "resource_attribute", "name": "k8s.namespace.name"},
            ],
            {"k8s__pod__name": "shop-7d9f-x1", "k8s__namespace__name": "prod"},
            True,
        ),
        (
            [
                {"from": "resource_attribute", "name": "k8s.pod.name"},
                {"from": "resource_attribute", "name": "k8s.namespace.name"},
            ],
            {"k8s__pod__name": "shop-7d9f-x1", "k8s__namespace__name": "test"},
            False,
        ),
        ([{"from": "resource_attribute", "name": "container.id"}], {"container__id": "app-id-0"}, True),
        ([{"from": "resource_attribute", "name": "app"}], {"app": "shop"}, True),
        ([{"from": "connection"}, {"from": "resource_attribute", "name": "app"}], {"peer": "10.0.0.1:1"}, False),
    ],
)
async def test_association_rules(tmp_path: Path, sources: list[Any], resource: dict[str, Any], known: bool) -> None:
    """All sources of a rule must agree; any attribute that is extracted can be one."""
    options = {
        "pod_association": [{"sources": sources}],
        "extract": {"metadata": ["k8s.node.name"], "labels": [{"key": "app", "tag_name": "app"}]},
    }
    async with FakeApi(tmp_path) as api:
        await api.put_object("pods", pod())
        async with joining(api, **options) as joined:
            assert ("k8s.node.name" in joined.write(**resource)) is known


async def test_everything_that_can_be_extracted(tmp_path: Path) -> None:
    """All metadata, of pod, workload, node, cluster, container and service."""
    async with FakeApi(tmp_path) as api:
        await api.put_object("pods", pod(labels={"app.kubernetes.io/name": "Shop"}))
        await api.put_object("nodes", {"metadata": {"name": "node-1", "uid": "n-1"}})
        await api.put_object("namespaces", {"metadata": {"name": "kube-system", "uid": "cluster-1"}})
        await api.put_object("namespaces", {"metadata": {"name": "prod", "uid": "ns-1"}})
        owners = [{"kind": "Deployment", "uid": "d-1"}]
        await api.put_object(
            "replicasets", {"metadata": {"name": "shop-7d9f", "namespace": "prod", "ownerReferences": owners}}
        )
        async with joining(api, extract={"metadata": list(METADATA)}) as joined:
            assert joined.write(peer="10.0.0.1:1") == {
                **DEFAULT,
                "k8s.pod.hostname": "shop-7d9f-x1",
                "k8s.pod.ip": "10.0.0.1",
                "k8s.node.uid": "n-1",
                "k8s.cluster.uid": "cluster-1",
                "k8s.container.name": "app",
                "k8s.replicaset.name": "shop-7d9f",
                "k8s.replicaset.uid": "uid-shop-7d9f",
                "k8s.deployment.uid": "d-1",
                "container.id": "app-id-1",
                "container.image.repo_digests": ["registry.io/app@sha256:abc"],
                "service.namespace": "prod",
                "service.version": "1.2",
                "service.instance.id": "prod.shop-7d9f-x1.app",
            }  # service.name is there already


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        (("DaemonSet", "agent"), {"k8s.daemonset.name": "agent", "k8s.daemonset.uid": "uid-agent"}),
        (("StatefulSet", "db"), {"k8s.statefulset.name": "db", "k8s.statefulset.uid": "uid-db"}),
        (("Job", "nightly-28373520"), {"k8s.job.name": "nightly-28373520", "k8s.cronjob.name": "nightly"}),
        (("Job", "once"), {"k8s.job.name": "once"}),
        (("ReplicaSet", "bare"), {"k8s.replicaset.name": "bare"}),
        (("Rollout", "x"), {}),
        (None, {}),
    ],
)
async def test_workloads(tmp_path: Path, owner: tuple[str, str] | None, expected: dict[str, str]) -> None:
    """Every kind of workload is named; a replica set without the hash of a template belongs to no deployment."""
    names = [
        name
        for name in METADATA
        if any(f".{kind}." in name for kind in ("daemonset", "statefulset", "job", "cronjob", "replicaset"))
    ]
    async with FakeApi(tmp_path) as api:
        await api.put_object("pods", pod(owner=owner))
        async with joining(api, extract={"metadata": [*names, "k8s.deployment.name"]}) as joined:
            found = joined.write(peer="10.0.0.1:1")
    assert expected.items() <= found.items()
    assert "k8s.deployment.name" not in found


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (
            {"k8s__container__name": "side"},
            {"container.image.name": "side", "container.image.tag": "latest", "container.id": "side-id-1"},
        ),
        ({"container__id": "app-id-1"}, {"container.image.name": "app", "container.image.tag": "7"}),
        ({"k8s__container__name": "app", "k8s__container__restart_count": "0"}, {"container.id": "app-id-0"}),
        ({"k8s__container__name": "app", "k8s__container__restart_count": 9}, {"container.image.name": "app"}),
        ({}, {}),
        ({"k8s__container__name": "none"}, {}),
    ],
)
async def test_containers(tmp_path: Path, resource: dict[str, Any], expected: dict[str, Any]) -> None:
    """Of several containers, the one that the resource names by name or id, before or after a restart."""
    async with FakeApi(tmp_path) as api:
        await api.put_object("pods", pod(containers={"app": "app:7", "side": "side"}))
        extract = {"metadata": ["container.image.name", "container.image.tag", "container.id"]}
        async with joining(api, extract=extract) as joined:
            found = joined.write(peer="10.0.0.1:1", **resource)
    assert expected.items() <= found.items()
    assert bool(found) is bool(expected)


async def test_labels_and_annotations(tmp_path: Path) -> None:
    """By key or pattern, of pod, namespace and node, with a name of one's own or the usual one."""
    extract = {
        "metadata": [],
        "labels": [
            {"key": "app"},
            {"key_regex": "team/(.*)", "tag_name": "team.$1"},
            {"key": "zone", "from": "node", "tag_name": "zone"},
            {"key_regex": "kind.*", "from": "namespace"},
        ],
        "annotations": [{"key": "owner", "tag_name": "owner", "from": "pod"}],
        "otel_annotations": True,
    }
    annotations = {"owner": "me", "resource.opentelemetry.io/service.namespace": "shops", "x": "y"}
    async with FakeApi(tmp_path) as api:
        await api.put_object("pods", pod(labels={"team/name": "red"}, annotations=annotations))
        await api.put_object("nodes", {"metadata": {"name": "node-1", "labels": {"zone": "a"}}})
        await api.put_object("namespaces", {"metadata": {"name": "prod", "labels": {"kind": "x", "other": "y"}}})
        async with joining(api, extract=extract) as joined:
            assert joined.write(peer="10.0.0.1:1") == {
                "k8s.pod.labels.app": "shop",
                "team.name": "red",
                "zone": "a",
                "k8s.namespace.labels.kind": "x",
                "owner": "me",
                "service.namespace": "shops",
            }
            assert joined.write(k8s__node__name="node-1", k8s__namespace__name="prod") == {
                "zone": "a",
                "k8s.namespace.labels.kind": "x",
            }


async def test_pods_come_change_and_go(tmp_path: Path) -> None:
    """A watch follows; a pod that is gone is known for a while; an address given out again is the younger pod's."""
    extract = {"metadata": ["k8s.pod.name"], "labels": [{"key": "app", "tag_name": "app"}]}
    async with FakeApi(tmp_path) as api, joining(api, extract=extract) as joined:
        await api.wait_for(watches=1)
        await api.put_object("pods", pod())
        await joined.until({"k8s.pod.name": "shop-7d9f-x1", "app": "shop"}, peer="10.0.0.1:1")
        await api.put_object("pods", pod(labels={"app": "store"}))
        await joined.until({"k8s.pod.name": "shop-7d9f-x1", "app": "store"}, peer="10.0.0.1:1")
        await api.delete("shop-7d9f-x1", "pods")
        await api.put_object("pods", pod("late", "10.0.0.2"))
        await joined.until({"k8s.pod.name": "late", "app": "shop"}, peer="10.0.0.2:1")
        assert joined.write(peer="10.0.0.1:1")["k8s.pod.name"] == "shop-7d9f-x1"
        await api.put_object("pods", pod("next", "10.0.0.1", started="2026-02-01T00:00:00Z"))
        await joined.until({"k8s.pod.name": "next", "app": "shop"}, peer="10.0.0.1:1")


async def test_watch_goes_on(tmp_path: Path) -> None:
    """Cut connections, forgotten versions and refusals end in what is there, and health says so meanwhile."""
    extract = {"metadata": ["k8s.pod.name"]}
    async with FakeApi(tmp_path) as api:
        await api.put_object("pods", pod())
        async with joining(api, extract=extract) as joined:
            await api.wait_for(watches=1)
            await api.cut()
            await api.put_object("pods", pod("a", "10.0.0.2"))
            await joined.until({"k8s.pod.name": "a"}, peer="10.0.0.2:1")
            await api.forget()
            await api.put_object("pods", pod("b", "10.0.0.3"))
            await joined.until({"k8s.pod.name": "b"}, peer="10.0.0.3:1")
            api.refusal = (403, "pods is forbidden")
            await api.forget()
            async with asyncio.timeout(60):
                while not any("pods is forbidden" in message for _, message in joined.host.reports):
                    await asyncio.sleep(0.002)
            assert joined.host.reports[-1][0] is Status.RECOVERABLE_ERROR
            assert joined.write(peer="10.0.0.3:1") == {"k8s.pod.name": "b"}
            assert joined.meter.value("processor_k8s_attributes_watch_failures", kind="pods") >= 1
            api.refusal = None
            await api.put_object("pods", pod("c", "10.0.0.4"))
            await joined.until({"k8s.pod.name": "c"}, peer="10.0.0.4:1")
            assert joined.host.reports[-1][0] is Status.OK


async def test_filters_and_exclusions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server selects by node, namespace, labels and fields; some pods are left out here."""
    monkeypatch.setenv("NODE", "node-1")
    options = {
        "filter": {
            "node_from_env_var": "NODE",
            "namespace": "prod",
            "labels": [{"key": "app", "value": "shop"}],
            "fields": [],
        },
        "extract": {"metadata": ["k8s.pod.name"]},
        "exclude": {"pods": [{"name": "^proxy"}]},
    }
    async with FakeApi(tmp_path) as api:
        await api.put_object("pods", pod("one", "10.0.0.1"))
        await api.put_object("pods", pod("far", "10.0.0.2", node="node-2"))
        await api.put_object("pods", pod("test", "10.0.0.3", namespace="test"))
        await api.put_object("pods", pod("other", "10.0.0.4", labels={"app": "x"}))
        await api.put_object("pods", pod("proxy-1", "10.0.0.5"))
        await api.put_object(
            "pods", pod("ignored", "10.0.0.6", annotations={"opentelemetry.io/k8s-processor/ignore": "true"})
        )
        await api.put_object("pods", pod("host", "10.0.0.7", host_network=True))
        async with joining(api, **options) as joined:
            names = [joined.write(peer=f"10.0.0.{number}:1").get("k8s.pod.name") for number in range(1, 8)]
        assert names == ["one", None, None, None, None, None, None]
        assert api.queries[0]["fieldSelector"] == "spec.nodeName=node-1"
        assert api.queries[0]["labelSelector"] == "app=shop"


async def test_passthrough(tmp_path: Path) -> None:
    """Without an API server only the client's address is noted."""
    joined = Joined(None, {"passthrough": True, "auth_type": "none"})
    await joined.processor.start(joined.host)
    assert joined.write(peer="10.0.0.1:1") == {"k8s.pod.ip": "10.0.0.1"}
    assert joined.write(peer="10.0.0.1:1", k8s__pod__ip="10.0.0.2") == {}
    assert joined.write(peer="unix") == {}


async def test_waiting_in_vain_is_a_start_error(tmp_path: Path) -> None:
    """Whoever asked to wait for all pods does not start without them."""
    async with FakeApi(tmp_path) as api:
        api.refusal = (403, "no")
        joined = Joined(api.cluster, {"wait_for_metadata": True, "wait_for_metadata_timeout": "50ms"})
        with pytest.raises(StartError, match="wait_for_metadata"):
            await joined.processor.start(joined.host)
        await joined.processor.shutdown()


async def test_outside_of_a_cluster_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what is missing."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    joined = Joined(None, {})
    with pytest.raises(StartError, match="KUBERNETES_SERVICE_HOST"):
        await joined.processor.start(joined.host)


@pytest.mark.parametrize(
    "answer", [{"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {}}]}, [1], {"items": 3}]
)
async def test_somebody_else_at_its_address(tmp_path: Path, answer: Any) -> None:
    """Answers of a shape that no API server gives are failures, and it goes on."""
    async with FakeApi(tmp_path) as api:
        api.answer = answer
        async with joining(api, wait=False) as joined:
            async with asyncio.timeout(60):
                while joined.meter.value("processor_k8s_attributes_watch_failures") < 2:
                    await asyncio.sleep(0.002)
            api.answer = None
            await api.put_object("pods", pod())
            await joined.until(DEFAULT, peer="10.0.0.1:1")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"auth_type": "none"}, "passthrough"),
        ({"extract": {"metadata": ["k8s.pod.nam"]}}, "did you mean k8s.pod.name"),
        ({"extract": {"labels": [{"tag_name": "x"}]}}, "key or key_regex"),
        ({"extract": {"labels": [{"key_regex": "("}]}}, "no regular expression"),
        ({"pod_association": [{"sources": [{"from": "connection", "name": "x"}]}]}, "connection has none"),
        ({"pod_association": [{"sources": [{"from": "resource_attribute"}]}]}, "needs a name"),
        ({"filter": {"node": "a", "node_from_env_var": "B"}}, "either node"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], words: str) -> None:
    """Mistakes are named."""
    with pytest.raises(ValueError, match=words):
        K8sAttributesConfig.model_validate(options)
