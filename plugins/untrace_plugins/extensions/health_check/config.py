"""Options of ``health_check``, as the Collector's ``healthcheckextension`` and ``healthcheckv2extension`` have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration
from untrace_pipeline.net.http_settings import HttpServerConfig

__all__ = ["READY_PATH", "STATUS_PATH", "ComponentHealthConfig", "HealthCheckConfig", "ResponseBodyConfig"]

READY_PATH, STATUS_PATH = "/ready", "/status"


class ResponseBodyConfig(ConfigModel):
    """``response_body``: texts instead of the JSON at ``path``."""

    healthy: str = ""
    """Body of the answer 200; empty = JSON."""
    unhealthy: str = ""
    """Body of the answer 503; empty = JSON."""


class PipelineCheckConfig(ConfigModel):
    """``check_collector_pipeline``: accepted for the Collector's sake, where it has no effect any more either."""

    enabled: bool = False
    """Changes nothing: ``/ready`` and ``/status`` always look at the pipelines."""
    interval: Duration = 300.0
    """Changes nothing."""
    exporter_failure_threshold: int = Field(5, gt=0)
    """Changes nothing."""


class ComponentHealthConfig(ConfigModel):
    """``component_health``: which errors, besides fatal ones, make ``/status`` and ``/ready`` fail.

    A pipeline is not ready when all its exporters fail by these rules. The defaults count neither kind, so that a dead
    destination does not take a pod out of service whose sidecar this is.
    """

    include_permanent_errors: bool = False
    """Count errors that a person must mend, such as refused credentials."""
    include_recoverable_errors: bool = False
    """Count errors that last longer than ``recovery_duration``, such as an unreachable destination."""
    recovery_duration: Duration = Field(300.0, ge=0)
    """How long a recoverable error may last."""


class HealthCheckConfig(HttpServerConfig, ComponentConfig):
    """Where and how health is told."""

    endpoint: str = "localhost:13133"
    """``host:port``, or ``unix:///path``. In a container use ``0.0.0.0:13133``."""
    path: str = "/"
    """Where the Collector's answer is: 200 while all pipelines run, 503 otherwise. Use it as liveness probe."""
    response_body: ResponseBodyConfig = ResponseBodyConfig()
    """Texts instead of JSON."""
    check_collector_pipeline: PipelineCheckConfig = PipelineCheckConfig()
    """Accepted for the Collector's sake."""
    component_health: ComponentHealthConfig = ComponentHealthConfig()
    """Which errors count as unhealthy."""
    max_connections: int = Field(100, ge=1)
    """Connections beyond are answered with 503. Not in the Collector."""

    @model_validator(mode="after")
    def _path_is_free(self) -> Self:
        if not self.path.startswith("/") or self.path in {READY_PATH, STATUS_PATH}:
            msg = f"a path that begins with / and is neither {READY_PATH} nor {STATUS_PATH}"
            raise ValueError(msg)
        return self

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Name the authenticator."""
        return {"auth.authenticator": (self.auth.authenticator,)} if self.auth else {}
