"""What each detector finds on machines of its kind, and on others."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.support.kubernetes_api import FakeApi
from tests.support.metadata_server import metadata_server
from untrace_pipeline.data import Value
from untrace_plugins.processors.resource_detection.attributes import ATTRIBUTES, DetectorName
from untrace_plugins.processors.resource_detection.config import ResourceDetectionConfig
from untrace_plugins.processors.resource_detection.detectors import DETECTORS
from untrace_plugins.processors.resource_detection.machine_facts import Facts, NotHereError

ID = "4a1f" * 16


async def detect(
    detector: DetectorName, root: Path, environ: Mapping[str, str] | None = None, **options: Any
) -> dict[str, Value]:
    """Let one detector look at a machine."""
    config = ResourceDetectionConfig.model_validate({detector.value: options} if options else {})
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        found = await DETECTORS[detector](Facts(session, environ or {}, root), config.of(detector))
    known = ATTRIBUTES[detector]
    assert not known or {name for name in found if ".tag." not in name} <= set(known), "every attribute is in the table"
    return {name: value for name, value in found.items() if value is not None}


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write files below a root."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("service.name=shop", {"service.name": "shop"}),
        (
            " team = ml , deployment.environment.name=prod%20eu,x=a=b",
            {"team": "ml", "deployment.environment.name": "prod eu", "x": "a=b"},
        ),
        ("a=,b=2", {"a": "", "b": "2"}),
    ],
)
async def test_env(tmp_path: Path, text: str, found: dict[str, str]) -> None:
    """Pairs of the variable, with their percent signs decoded."""
    assert await detect(DetectorName.ENV, tmp_path, {"OTEL_RESOURCE_ATTRIBUTES": text}) == found


async def test_env_that_makes_no_sense_is_a_failure(tmp_path: Path) -> None:
    """What holds no pair is told, instead of passed over."""
    with pytest.raises(ValueError, match="no key=value pairs"):
        await detect(DetectorName.ENV, tmp_path, {"OTEL_RESOURCE_ATTRIBUTES": "nonsense"})


async def test_system(tmp_path: Path) -> None:
    """Files of the operating system, and what it answers."""
    write(
        tmp_path,
        {
            "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12"\nNAME="Debian"\nVERSION_ID="12"\n# comment=1\n',
            "etc/machine-id": "abc\n",
            "proc/cpuinfo": "vendor_id : GenuineIntel\nmodel name : Xeon\nstepping : 7\n\nvendor_id : x",
            "sys/class/net/eth0/address": "0a:1b:2c:3d:4e:5f\n",
            "sys/class/net/lo/address": "00:00:00:00:00:00\n",
        },
    )
    found = await detect(DetectorName.SYSTEM, tmp_path)
    assert found["os.type"] == "linux"
    assert found["os.description"] == "Debian GNU/Linux 12"
    assert (found["os.name"], found["os.version"], found["host.id"]) == ("Debian", "12", "abc")
    assert (found["host.mac"], found["host.interface"]) == (["0A-1B-2C-3D-4E-5F"], ["eth0"])
    assert (found["host.cpu.vendor.id"], found["host.cpu.stepping"]) == ("GenuineIntel", "7")
    assert found["host.name"]
    assert found["host.arch"]


@pytest.mark.parametrize("source", ["os", "dns", "cname", "lookup"])
async def test_host_name_of_every_source(tmp_path: Path, source: str) -> None:
    """A source that knows nothing gives way to the plain name of the host."""
    assert (await detect(DetectorName.SYSTEM, tmp_path, hostname_sources=[source]))["host.name"]


async def test_process(tmp_path: Path) -> None:
    """This process."""
    found = await detect(DetectorName.PROCESS, tmp_path)
    assert found["process.pid"] == os.getpid()
    assert found["process.executable.path"] == sys.executable
    assert found["process.runtime.name"] == "cpython"


@pytest.mark.parametrize(
    "files",
    [
        {"proc/self/cgroup": f"12:cpuset:/docker/{ID}\n"},
        {"proc/self/cgroup": f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope\n"},
        {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": f"1 2 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw\n",
        },
    ],
)
async def test_container(tmp_path: Path, files: dict[str, str]) -> None:
    """Cgroups of both versions, and mounts, name the container."""
    write(tmp_path, files)
    assert await detect(DetectorName.CONTAINER, tmp_path) == {"container.id": ID}


async def test_container_by_its_name_or_not_at_all(tmp_path: Path) -> None:
    """Docker names a host after its container; other names are no ids."""
    assert await detect(DetectorName.CONTAINER, tmp_path, {"HOSTNAME": "0123456789ab"}) == {
        "container.id": "0123456789ab"
    }
    with pytest.raises(NotHereError):
        await detect(DetectorName.CONTAINER, tmp_path, {"HOSTNAME": "laptop"})


async def test_docker(tmp_path: Path) -> None:
    """The daemon's socket tells of the host, and of the own container."""
    socket = tmp_path / "docker.sock"
    answers = {
        "/info": {"Name": "box", "OSType": "linux"},
        "/containers/0123456789ab/json": {"Name": "/shop", "Config": {"Image": "shop:1"}},
    }

    async def answer(request: web.Request) -> web.Response:
        found = answers.get(request.path)
        return web.json_response(found, status=404 if found is None else 200)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    try:
        endpoint = f"unix://{socket}"
        found = await detect(DetectorName.DOCKER, tmp_path, {"HOSTNAME": "0123456789ab"}, endpoint=endpoint)
        assert found == {
            "host.name": "box",
            "os.type": "linux",
            "container.name": "shop",
            "container.image.name": "shop:1",
        }
        assert "container.name" not in await detect(DetectorName.DOCKER, tmp_path, {"HOSTNAME": "x"}, endpoint=endpoint)
        other = await detect(DetectorName.DOCKER, tmp_path, {"HOSTNAME": "ba9876543210"}, endpoint=endpoint)
        assert other == {"host.name": "box", "os.type": "linux"}
    finally:
        await runner.cleanup()
    with pytest.raises(NotHereError):
        await detect(DetectorName.DOCKER, tmp_path, endpoint=f"unix://{tmp_path}/none")


async def test_pod_by_variables_and_files(tmp_path: Path) -> None:
    """Variables of the downward API win over its files, and those over what every pod has."""
    write(
        tmp_path,
        {
            "etc/podinfo/uid": "u-1",
            "etc/podinfo/name": "from-file",
            "var/run/secrets/kubernetes.io/serviceaccount/namespace": "tracing",
        },
    )
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "K8S_NODE_NAME": "node-1", "HOSTNAME": "pod-x"}
    found = await detect(DetectorName.KUBERNETES, tmp_path, environ)
    assert found == {
        "k8s.pod.name": "from-file",
        "k8s.pod.uid": "u-1",
        "k8s.namespace.name": "tracing",
        "k8s.node.name": "node-1",
    }
    assert (await detect(DetectorName.KUBERNETES, tmp_path, {**environ, "POD_NAME": "p"}))["k8s.pod.name"] == "p"


async def test_node_by_the_api_server(tmp_path: Path) -> None:
    """The uid of the node comes from the API server; whatever is wrong there means that there is none."""
    account = tmp_path / "var/run/secrets/kubernetes.io/serviceaccount"
    account.mkdir(parents=True)
    async with FakeApi(account) as api:
        await api.put_object("nodes", {"metadata": {"name": "node-1", "uid": "n-1"}})
        environ = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(api.port),
            "K8S_NODE_NAME": "node-1",
        }
        assert await detect(DetectorName.K8S_NODE, tmp_path, environ) == {
            "k8s.node.name": "node-1",
            "k8s.node.uid": "n-1",
        }
        api.refusal = (403, "nodes is forbidden")
        with pytest.raises(NotHereError, match="role with the verbs get"):
            await detect(DetectorName.K8S_NODE, tmp_path, environ)
        api.refusal, api.answer = None, [1]
        with pytest.raises(NotHereError, match="no object"):
            await detect(DetectorName.K8S_NODE, tmp_path, environ)
    with pytest.raises(NotHereError):
        await detect(DetectorName.K8S_NODE, tmp_path, environ)


EC2_DOCUMENT = {
    "region": "eu-west-1",
    "accountId": "123456789012",
    "availabilityZone": "eu-west-1a",
    "instanceId": "i-1",
    "imageId": "ami-1",
    "instanceType": "m7g.large",
}


async def test_ec2(tmp_path: Path) -> None:
    """Version 2 of the service: a session first, then the identity document, the name, and tags that are asked for."""
    answers = {
        "/latest/api/token": "session",
        "/latest/dynamic/instance-identity/document": EC2_DOCUMENT,
        "/latest/meta-data/hostname": "ip-10-0-0-1.internal",
        "/latest/meta-data/tags/instance": "team\nName\nteam-lead",
        "/latest/meta-data/tags/instance/team": "search",
        "/latest/meta-data/tags/instance/Name": "box",
    }
    async with metadata_server(answers, {"X-aws-ec2-metadata-token": "session"}) as server:
        found = await detect(DetectorName.EC2, tmp_path, endpoint=server.url, tags=["^team$", "^Na"])
        assert server.asked[0][:2] == ("PUT", "/latest/api/token")
    assert found == {
        "cloud.provider": "aws",
        "cloud.platform": "aws_ec2",
        "cloud.region": "eu-west-1",
        "cloud.account.id": "123456789012",
        "cloud.availability_zone": "eu-west-1a",
        "host.id": "i-1",
        "host.image.id": "ami-1",
        "host.type": "m7g.large",
        "host.name": "ip-10-0-0-1.internal",
        "ec2.tag.team": "search",
        "ec2.tag.Name": "box",
    }


async def test_ecs(tmp_path: Path) -> None:
    """Task and container of the task metadata endpoint, with the log group."""
    arn = "arn:aws:ecs:us-east-1:123456789012:task/main/0123"
    answers = {
        "/v4/task": {
            "TaskARN": arn,
            "Cluster": "main",
            "Family": "shop",
            "Revision": "7",
            "LaunchType": "FARGATE",
            "AvailabilityZone": "us-east-1b",
        },
        "/v4": {"LogOptions": {"awslogs-group": "/ecs/shop", "awslogs-stream": "s/1"}},
    }
    async with metadata_server(answers) as server:
        found = await detect(DetectorName.ECS, tmp_path, {"ECS_CONTAINER_METADATA_URI_V4": f"{server.url}/v4"})
    assert found["aws.ecs.cluster.arn"] == "arn:aws:ecs:us-east-1:123456789012:cluster/main"
    assert (found["aws.ecs.task.id"], found["aws.ecs.task.revision"], found["aws.ecs.launchtype"]) == (
        "0123",
        "7",
        "fargate",
    )
    assert (found["cloud.region"], found["cloud.account.id"]) == ("us-east-1", "123456789012")
    assert found["aws.log.stream.arns"] == ["arn:aws:logs:us-east-1:123456789012:log-group:/ecs/shop:log-stream:s/1"]


async def test_lambda(tmp_path: Path) -> None:
    """A function's environment; memory in bytes."""
    environ = {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_REGION": "eu-west-1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128"}
    found = await detect(DetectorName.LAMBDA, tmp_path, environ)
    assert (found["faas.name"], found["faas.max_memory"]) == ("f", 128 * 2**20)
    odd = await detect(DetectorName.LAMBDA, tmp_path, {**environ, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "much"})
    assert "faas.max_memory" not in odd


GCP = {
    "/computeMetadata/v1/project/project-id": "acme-prod",
    "/computeMetadata/v1/instance/zone": "projects/1/zones/europe-west4-b",
    "/computeMetadata/v1/instance/id": "77",
    "/computeMetadata/v1/instance/name": "vm-1",
    "/computeMetadata/v1/instance/machine-type": "projects/1/machineTypes/e2-small",
    "/computeMetadata/v1/instance/attributes/cluster-name": "main",
    "/computeMetadata/v1/instance/region": "projects/1/regions/europe-west4",
}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {},
            {
                "cloud.platform": "gcp_compute_engine",
                "host.name": "vm-1",
                "host.type": "e2-small",
                "cloud.region": "europe-west4",
            },
        ),
        ({"KUBERNETES_SERVICE_HOST": "x"}, {"cloud.platform": "gcp_kubernetes_engine", "k8s.cluster.name": "main"}),
        (
            {"K_SERVICE": "s", "K_REVISION": "r"},
            {"cloud.platform": "gcp_cloud_run", "faas.name": "s", "faas.version": "r"},
        ),
        ({"K_SERVICE": "s", "FUNCTION_TARGET": "f"}, {"cloud.platform": "gcp_cloud_functions", "faas.instance": "77"}),
        ({"CLOUD_RUN_JOB": "j", "CLOUD_RUN_TASK_INDEX": "3"}, {"faas.name": "j", "gcp.cloud_run.job.task_index": 3}),
    ],
)
async def test_gcp(tmp_path: Path, environ: dict[str, str], expected: dict[str, Value]) -> None:
    """The metadata server, with its header, and what the environment says of the platform."""
    async with metadata_server(GCP, {"Metadata-Flavor": "Google"}) as server:
        host = server.url.removeprefix("http://")
        found = await detect(DetectorName.GCP, tmp_path, {**environ, "GCE_METADATA_HOST": host})
    assert {"cloud.provider": "gcp", "cloud.account.id": "acme-prod", **expected}.items() <= found.items()


async def test_azure(tmp_path: Path) -> None:
    """The instance metadata service, with its header, and tags that are asked for."""
    compute = {
        "location": "westeurope",
        "subscriptionId": "sub",
        "vmId": "v-1",
        "name": "vm",
        "vmSize": "D2s",
        "vmScaleSetName": "",
        "resourceGroupName": "rg",
        "tagsList": [{"name": "team", "value": "ml"}, {"name": "x", "value": "y"}, "odd"],
    }
    answers = {"/metadata/instance/compute?api-version=2020-09-01&format=json": compute}
    async with metadata_server(answers, {"Metadata": "true"}) as server:
        found = await detect(DetectorName.AZURE, tmp_path, endpoint=server.url, tags=["^te"])
    assert found == {
        "cloud.provider": "azure",
        "cloud.platform": "azure_vm",
        "cloud.region": "westeurope",
        "cloud.account.id": "sub",
        "host.id": "v-1",
        "host.name": "vm",
        "azure.vm.name": "vm",
        "azure.vm.size": "D2s",
        "azure.resourcegroup.name": "rg",
        "azure.tag.team": "ml",
    }


@pytest.mark.parametrize("answer", [404, 500, "no json", ["a list"]])
@pytest.mark.parametrize("detector", [DetectorName.EC2, DetectorName.AZURE])
async def test_somebody_else_at_the_address(tmp_path: Path, detector: DetectorName, answer: Any) -> None:
    """Whatever answers there otherwise means that this is no such machine."""
    answers = {
        "/latest/api/token": "t",
        "/latest/dynamic/instance-identity/document": answer,
        "/metadata/instance/compute?api-version=2020-09-01&format=json": answer,
    }
    async with metadata_server(answers) as server:
        with pytest.raises(NotHereError):
            await detect(detector, tmp_path, endpoint=server.url)


@pytest.mark.parametrize(
    "detector", [DetectorName.KUBERNETES, DetectorName.K8S_NODE, DetectorName.ECS, DetectorName.LAMBDA]
)
async def test_elsewhere_there_is_nothing(tmp_path: Path, detector: DetectorName) -> None:
    """On another kind of machine a detector says what is missing."""
    with pytest.raises(NotHereError, match="is not set"):
        await detect(detector, tmp_path)


@pytest.mark.parametrize("detector", [DetectorName.EC2, DetectorName.GCP, DetectorName.AZURE])
async def test_where_nothing_listens_there_is_nothing(tmp_path: Path, detector: DetectorName) -> None:
    """A metadata service that cannot be reached means that this is no such machine."""
    async with metadata_server({}) as server:
        pass
    with pytest.raises(NotHereError, match="nothing answers"):
        await detect(detector, tmp_path, endpoint=server.url)
