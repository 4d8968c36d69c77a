"""Extension ``health_check``: tells probes whether the daemon lives, is ready, and how each component is.

Answers come from the states that components report, not from the mere fact that the process answers: a dead pipeline
is not ready.
"""

from untrace_pipeline.api import Extension, ExtensionFactory, Settings, Stability
from untrace_plugins.extensions.health_check.config import HealthCheckConfig

__all__ = ["FACTORY"]


def _create(config: HealthCheckConfig, settings: Settings) -> Extension:
    from untrace_plugins.extensions.health_check.extension import HealthCheck  # noqa: PLC0415

    return HealthCheck(config, settings)


FACTORY = ExtensionFactory(
    type_name="health_check",
    config=HealthCheckConfig,
    description="tells probes whether the daemon lives, is ready, and how each component is",
    stability=Stability.BETA,
    create=_create,
    per_service=True,
)
