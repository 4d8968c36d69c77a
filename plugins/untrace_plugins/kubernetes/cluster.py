"""The way to the API server of the own cluster, with the service account of the own pod."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from untrace_pipeline.api import StartError

__all__ = ["Cluster"]

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes puts token, authorities and namespace of a pod."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The way to the API server."""

    url: str
    account: Path

    @classmethod
    def own(cls, environ: Mapping[str, str] = os.environ, account: Path = ACCOUNT) -> Cluster:
        """Return that of the pod that this process runs in. Raises :class:`StartError` outside of a cluster."""
        host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host or not (account / "token").exists():
            missing = "KUBERNETES_SERVICE_HOST is not set" if not host else f"there is no {account / 'token'}"
            msg = f"this works inside of a Kubernetes cluster only: {missing}"
            raise StartError(msg)
        return cls(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}", account)

    def token(self) -> str:
        """Return the token of the moment: Kubernetes exchanges it."""
        return (self.account / "token").read_text(encoding="utf-8").strip()

    def namespace(self) -> str:
        """Return the namespace of the own pod."""
        file = self.account / "namespace"
        return file.read_text(encoding="utf-8").strip() if file.exists() else "default"

    def tls(self) -> ssl.SSLContext:
        """Return a context that trusts the authorities of the cluster. Raises :class:`StartError`."""
        file = self.account / "ca.crt"
        try:
            return ssl.create_default_context(cafile=file)
        except (OSError, ssl.SSLError) as error:
            msg = f"cannot read the authorities of the cluster in {file}: {error}"
            raise StartError(msg) from error
