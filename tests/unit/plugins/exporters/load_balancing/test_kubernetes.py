"""The ``k8s`` resolver against an API server that lists, watches, forgets, cuts and refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.balancing import traces, until
from tests.support.exporters import running
from tests.support.kubernetes_api import FakeApi, endpoints
from tests.support.otlp_servers import GrpcServer
from untrace_pipeline.api import StartError, Status
from untrace_plugins.exporters.load_balancing import FACTORY
from untrace_plugins.exporters.load_balancing.config import KubernetesConfig
from untrace_plugins.exporters.load_balancing.kubernetes import KubernetesResolver
from untrace_plugins.kubernetes import watch as kubernetes
from untrace_plugins.kubernetes.cluster import Cluster


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(kubernetes, "LONGEST_WAIT_SECONDS", 0.05)


class Reports:
    """What the resolver told."""

    def __init__(self) -> None:
        self.now: list[str] | None = None
        self.failures: list[str] = []
        self._news = asyncio.Condition()

    async def found(self, found: Sequence[str]) -> None:
        self.now = list(found)
        async with self._news:
            self._news.notify_all()

    def failed(self, why: str) -> None:
        self.failures.append(why)

    async def until(self, *expected: str) -> None:
        """Wait until these are the backends."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: self.now == list(expected))

    async def until_failed(self, part: str) -> None:
        """Wait for a failure that says so."""
        async with asyncio.timeout(10):
            while not any(part in why for why in self.failures):
                await asyncio.sleep(0.002)


@asynccontextmanager
async def resolving(api: FakeApi, service: str = "backends.tracing", **options: Any) -> AsyncIterator[Reports]:
    """Run a resolver."""
    reports = Reports()
    config = KubernetesConfig.model_validate({"service": service, **options})
    work = asyncio.create_task(KubernetesResolver(config, api.cluster).run(reports))
    try:
        yield reports
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def test_slices_come_and_go(tmp_path: Path) -> None:
    """Addresses of all slices of the service together, as they change; other services do not matter."""
    async with FakeApi(tmp_path) as api:
        await api.put("one", endpoints("10.0.0.1", "10.0.0.2"))
        await api.put("other", endpoints("10.9.9.9"), service="other")
        async with resolving(api) as told:
            await told.until("10.0.0.1", "10.0.0.2")
            await api.wait_for(watches=1)
            await api.put("two", endpoints("10.0.0.2", "10.0.0.3"))
            await told.until("10.0.0.1", "10.0.0.2", "10.0.0.3")
            await api.put("one", endpoints("10.0.0.4"))
            await told.until("10.0.0.2", "10.0.0.3", "10.0.0.4")
            await api.delete("two")
            await told.until("10.0.0.4")
        assert told.failures == []
        assert api.lists == 1
        assert api.queries[0]["labelSelector"] == "kubernetes.io/service-name=backends"


async def test_only_what_is_ready(tmp_path: Path) -> None:
    """A pod that starts or ends gets nothing; one that says nothing about it counts as ready."""
    async with FakeApi(tmp_path) as api:
        found = endpoints("10.0.0.1", ready=True) + endpoints("10.0.0.2", ready=False) + endpoints("10.0.0.3")
        await api.put("one", found)
        async with resolving(api) as told:
            await told.until("10.0.0.1", "10.0.0.3")


async def test_ports_and_families(tmp_path: Path) -> None:
    """Each port is a backend; an IPv6 address gets brackets."""
    async with FakeApi(tmp_path) as api:
        await api.put("one", endpoints("10.0.0.1", "fd00::1"))
        async with resolving(api, ports=[4317, 5317]) as told:
            await told.until("10.0.0.1:4317", "10.0.0.1:5317", "[fd00::1]:4317", "[fd00::1]:5317")


async def test_host_names(tmp_path: Path) -> None:
    """Names of pods of a StatefulSet; one without a name yet comes later."""
    async with FakeApi(tmp_path) as api:
        await api.put("one", endpoints("10.0.0.1", hostname="pod-0") + endpoints("10.0.0.2"))
        async with resolving(api, return_hostnames=True, ports=[4317]) as told:
            await told.until("pod-0.backends.tracing:4317")
            await api.wait_for(watches=1)
            await api.put("one", endpoints("10.0.0.1", hostname="pod-0") + endpoints("10.0.0.2", hostname="pod-1"))
            await told.until("pod-0.backends.tracing:4317", "pod-1.backends.tracing:4317")


async def test_the_namespace_of_the_pod(tmp_path: Path) -> None:
    """Where the service names none."""
    async with FakeApi(tmp_path, namespace="llm") as api:
        await api.put("one", endpoints("10.0.0.1"))
        async with resolving(api, "backends") as told:
            await told.until("10.0.0.1")
        async with resolving(api, "backends.llm.svc.cluster.local") as told:
            await told.until("10.0.0.1")
        async with resolving(api, "backends.elsewhere") as told:
            await told.until()


async def test_a_long_list_comes_in_pages(tmp_path: Path) -> None:
    """All of them, though the server gives two at a time."""
    async with FakeApi(tmp_path, page=2) as api:
        for number in range(5):
            await api.put(f"slice-{number}", endpoints(f"10.0.0.{number}"))
        async with resolving(api) as told:
            await told.until(*(f"10.0.0.{number}" for number in range(5)))
        assert api.lists == 3


async def test_gone_means_to_list_again(tmp_path: Path) -> None:
    """As an event of the watch, and as the status of a new one: what happened meanwhile is not missed."""
    async with FakeApi(tmp_path) as api:
        await api.put("one", endpoints("10.0.0.1"))
        async with resolving(api) as told:
            await api.wait_for(watches=1)
            await api.forget()
            await api.wait_for(lists=2, watches=2)
            await api.put("one", endpoints("10.0.0.2"))
            await told.until("10.0.0.2")
            api.refusal = (410, "too old resource version")
            await api.cut()
            await api.put("one", endpoints("10.0.0.3"))
            api.refusal = None
            await told.until("10.0.0.3")
        assert told.failures == []


async def test_a_watch_that_is_cut_goes_on(tmp_path: Path) -> None:
    """From the version that was reached, without a new list; so does one that the server ends in time."""
    async with FakeApi(tmp_path) as api:
        await api.put("one", endpoints("10.0.0.1"))
        async with resolving(api) as told:
            await api.wait_for(watches=1)
            await api.bookmark()
            await api.cut()
            await api.put("one", endpoints("10.0.0.2"))
            await told.until("10.0.0.2")
        assert api.lists == 1
        assert told.failures == []
    async with FakeApi(tmp_path) as api:
        async with resolving(api, timeout="1s") as told:
            await api.wait_for(watches=2)
            await api.put("one", endpoints("10.0.0.3"))
            await told.until("10.0.0.3")
        assert told.failures == []


async def test_a_refusal_is_told_and_tried_again(tmp_path: Path) -> None:
    """What is missing is in the message; when it is given, everything goes on."""
    async with FakeApi(tmp_path) as api:
        await api.put("one", endpoints("10.0.0.1"))
        api.refusal = (403, "endpointslices.discovery.k8s.io is forbidden")
        async with resolving(api) as told:
            await told.until_failed("403 Forbidden: endpointslices.discovery.k8s.io is forbidden; give the service acc")
            api.refusal = None
            await told.until("10.0.0.1")
            await api.fail("etcd is on holiday")
            await told.until_failed("etcd is on holiday")
            await api.put("one", endpoints("10.0.0.2"))
            await told.until("10.0.0.2")


async def test_a_new_token_is_used(tmp_path: Path) -> None:
    """Kubernetes exchanges it under way."""
    async with FakeApi(tmp_path) as api:
        await api.put("one", endpoints("10.0.0.1"))
        async with resolving(api) as told:
            await api.wait_for(watches=1)
            (tmp_path / "token").write_text("another")
            await api.cut()
            await api.put("one", endpoints("10.0.0.2"))
            await told.until("10.0.0.2")
        assert told.failures == []


async def test_a_server_that_comes_later(tmp_path: Path) -> None:
    """Nobody listens at first."""
    async with FakeApi(tmp_path) as api:
        cluster = api.cluster
    reports = Reports()
    config = KubernetesConfig.model_validate({"service": "backends.tracing"})
    work = asyncio.create_task(KubernetesResolver(config, cluster).run(reports))
    await reports.until_failed("the API server does not give the endpointslices of backends in namespace tracing")
    work.cancel()
    await asyncio.wait({work})


async def test_somebody_else_at_its_address(tmp_path: Path) -> None:
    """An answer of another shape is a failure, not the end."""
    async with FakeApi(tmp_path) as api:
        api._list = lambda _request: asyncio.sleep(0, __import__("aiohttp").web.json_response([1, 2]))  # type: ignore[method-assign, assignment]
        async with resolving(api) as told:
            await told.until_failed("does not give the endpointslices")


def test_outside_of_a_cluster(tmp_path: Path) -> None:
    """The message says what is missing."""
    with pytest.raises(StartError, match="inside of a Kubernetes cluster only: KUBERNETES_SERVICE_HOST is not set"):
        Cluster.own({}, tmp_path)
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    with pytest.raises(StartError, match="there is no "):
        Cluster.own(environ, tmp_path)
    (tmp_path / "token").write_text("x")
    assert Cluster.own(environ, tmp_path).url == "https://[fd00::1]:6443"
    with pytest.raises(StartError, match="cannot read the authorities"):
        Cluster.own(environ, tmp_path).tls()


async def test_the_exporter_follows_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two backends, then one that is ready, then none at the moment; and nothing is lost on the way."""
    off = {"tls": {"insecure": True}, "compression": "none"}
    async with FakeApi(tmp_path) as api, GrpcServer() as one, GrpcServer() as two:
        monkeypatch.setattr(Cluster, "own", lambda: api.cluster)
        await api.put("one", endpoints("127.0.0.1"))
        k8s = {"k8s": {"service": "backends.tracing", "ports": [one.port, two.port]}}
        async with running(FACTORY, {"resolver": k8s, "protocol": {"otlp": off}}) as r:
            assert r.meter.value("loadbalancer_num_backends", resolver="k8s") == 2
            await r.consume(traces(40, 40))
            await r.until_idle()
            assert one.item_count
            assert two.item_count
            await api.wait_for(watches=1)
            await api.put("one", endpoints("127.0.0.1", ready=False))
            await until(
                lambda: r.host.reports[-1:] == [(Status.RECOVERABLE_ERROR, "there is no backend at the moment")]
            )
            await r.consume(traces(40, 40, seed=1))
            await r.until_idle()
        assert one.item_count + two.item_count == 80


async def test_the_exporter_does_not_start_outside_of_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to use instead."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(StartError, match="elsewhere use static or dns"):
        async with running(FACTORY, {"resolver": {"k8s": {"service": "backends"}}}):
            pass
