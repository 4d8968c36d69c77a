"""Pods as the API server shows them."""

from __future__ import annotations

from typing import Any

__all__ = ["pod"]


def pod(name: str = "shop-7d9f-x1", ip: str = "10.0.0.1", **more: Any) -> dict[str, Any]:
    """Return a pod of a deployment, with one container; ``more`` overrides what it is made of."""
    uid = more.pop("uid", f"uid-{name}")
    containers = more.pop("containers", {"app": "registry.io/team/shop:1.2"})
    owner = more.pop("owner", ("ReplicaSet", "shop-7d9f"))
    labels = {"pod-template-hash": "7d9f", "app": "shop", **more.pop("labels", {})}
    return {
        "metadata": {
            "name": name,
            "namespace": more.pop("namespace", "prod"),
            "uid": uid,
            "labels": labels,
            "annotations": more.pop("annotations", {}),
            "ownerReferences": [{"kind": owner[0], "name": owner[1], "uid": f"uid-{owner[1]}"}] if owner else [],
        },
        "spec": {
            "nodeName": more.pop("node", "node-1"),
            "hostNetwork": more.pop("host_network", False),
            "containers": [{"name": one, "image": image} for one, image in containers.items()],
        },
        "status": {
            "podIP": ip,
            "podIPs": [{"ip": ip}] if ip else [],
            "startTime": more.pop("started", "2026-01-01T00:00:00Z"),
            "containerStatuses": [
                {
                    "name": one,
                    "containerID": f"containerd://{one}-id-1",
                    "restartCount": 1,
                    "imageID": f"registry.io/{one}@sha256:abc",
                    "lastState": {"terminated": {"containerID": f"containerd://{one}-id-0"}},
                }
                for one in containers
            ],
        },
        **more,
    }
