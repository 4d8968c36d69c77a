"""Options of ``health_check``: the Collector's files work."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from untrace_plugins.extensions.health_check.config import HealthCheckConfig


def test_defaults_are_the_collectors() -> None:
    """Local only, port 13133, at the root."""
    config = HealthCheckConfig()
    assert (config.endpoint, config.path, config.tls) == ("localhost:13133", "/", None)


def test_a_full_collector_file() -> None:
    """Every option of the Collector's README is accepted."""
    config = HealthCheckConfig.model_validate(
        {
            "endpoint": "0.0.0.0:13134",
            "tls": {"cert_file": "/path/to/cert.crt", "key_file": "/path/to/key.key"},
            "path": "/health/status",
            "check_collector_pipeline": {"enabled": True, "interval": "5m", "exporter_failure_threshold": 5},
            "response_body": {"healthy": "I'm good", "unhealthy": "I'm bad!"},
        }
    )
    assert config.response_body.healthy == "I'm good"


@pytest.mark.parametrize("path", ["health", "/ready", "/status", ""])
def test_a_path_that_is_taken_or_none_is_refused(path: str) -> None:
    """The message says what would do."""
    with pytest.raises(ValidationError, match="neither /ready nor /status"):
        HealthCheckConfig.model_validate({"path": path})


def test_the_authenticator_is_a_reference() -> None:
    """Validation and reload know that it is used."""
    config = HealthCheckConfig.model_validate({"auth": {"authenticator": "basic_auth"}})
    assert config.references() == {"auth.authenticator": ("basic_auth",)}
    assert HealthCheckConfig().references() == {}
