"""Options of the ``prometheus`` receiver: the part of Prometheus' configuration that is about scraping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration, Secret, Size
from untrace_pipeline.net.tls import ClientTlsConfig
from untrace_plugins.receivers.prometheus.relabel import RelabelConfig

__all__ = [
    "AuthorizationConfig",
    "BasicAuthConfig",
    "FileDiscoveryConfig",
    "GlobalConfig",
    "PrometheusReceiverConfig",
    "ScrapeConfig",
    "StaticConfig",
    "TlsConfig",
]

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_FILES = re.compile(r"[^*]*(?:\*[^/]*)?\.(?:json|yml|yaml)\Z")


class Protocol(StrEnum):
    """Formats that a target may be asked for."""

    OPENMETRICS_1 = "OpenMetricsText1.0.0"
    OPENMETRICS_0 = "OpenMetricsText0.0.1"
    TEXT = "PrometheusText0.0.4"


class BasicAuthConfig(ConfigModel):
    """``basic_auth``."""

    username: str = ""
    """Name of the user."""
    username_file: str | None = None
    """File with the name, instead."""
    password: Secret | None = None
    """Password of the user."""
    password_file: str | None = None
    """File with the password, instead; a changed file is in force within a second."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.username and self.username_file) or (self.password is not None and self.password_file):
            msg = "username or username_file, and password or password_file"
            raise ValueError(msg)
        return self


class AuthorizationConfig(ConfigModel):
    """``authorization``."""

    type: str = Field("Bearer", min_length=1)
    """First word of the header ``Authorization``."""
    credentials: Secret | None = None
    """The rest of the header."""
    credentials_file: str | None = None
    """File with the rest, instead; a changed file is in force within a second."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.credentials is None) == (self.credentials_file is None):
            msg = "either credentials or credentials_file"
            raise ValueError(msg)
        if self.type.strip().lower() == "basic":
            msg = 'another type than "basic", which basic_auth is for'
            raise ValueError(msg)
        return self


class TlsConfig(ConfigModel):
    """``tls_config``, with Prometheus' keys."""

    ca: str | None = None
    """Certificate authorities as PEM text."""
    ca_file: str | None = None
    """The same as a file; absent = those of the system."""
    cert: str | None = None
    """Own certificate as PEM text."""
    cert_file: str | None = None
    """The same as a file."""
    key: Secret | None = None
    """Private key of the own certificate as PEM text."""
    key_file: str | None = None
    """The same as a file."""
    server_name: str | None = None
    """Name to expect in the target's certificate instead of its host."""
    insecure_skip_verify: bool = False
    """Do not check the target's certificate."""
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    """Oldest version of TLS."""

    def client(self) -> ClientTlsConfig:
        """Return the same as options of our clients."""
        given = {
            "ca_pem": self.ca,
            "ca_file": self.ca_file,
            "cert_pem": self.cert,
            "cert_file": self.cert_file,
            "key_pem": self.key,
            "key_file": self.key_file,
            "server_name_override": self.server_name,
            "insecure_skip_verify": self.insecure_skip_verify,
            "min_version": "1.3" if self.min_version == "TLS13" else "1.2",
        }
        return ClientTlsConfig.model_validate({name: value for name, value in given.items() if value is not None})

    @model_validator(mode="after")
    def _usable(self) -> Self:
        self.client()
        return self


class StaticConfig(ConfigModel):
    """One of ``static_configs``."""

    targets: list[str] = []
    """Targets as ``host:port``. Example: ``["localhost:9100"]``."""
    labels: dict[str, str] = {}
    """Labels of all of them."""

    @field_validator("targets")
    @classmethod
    def _hosts(cls, targets: list[str]) -> list[str]:
        for target in targets:
            if not target or "/" in target:
                msg = f"host:port without a path: {target[:100]!r}"
                raise ValueError(msg)
        return targets

    @field_validator("labels")
    @classmethod
    def _names(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in labels:
            if not _LABEL.match(name):
                msg = f"names of labels of letters, digits and _: {name[:100]!r}"
                raise ValueError(msg)
        return labels


class FileDiscoveryConfig(ConfigModel):
    """One of ``file_sd_configs``: files with lists of ``{targets, labels}``."""

    files: list[str] = Field(min_length=1)
    """Paths; the last part may hold one ``*``. They end in ``.json``, ``.yml`` or ``.yaml``."""
    refresh_interval: Duration = Field(300.0, gt=0)
    """Accepted for Prometheus' sake: changes are noticed within five seconds."""

    @field_validator("files")
    @classmethod
    def _patterns(cls, files: list[str]) -> list[str]:
        for path in files:
            if not _FILES.match(path):
                msg = f"a path that ends in .json, .yml or .yaml, with * in its last part only: {path[:200]!r}"
                raise ValueError(msg)
        return files


class GlobalConfig(ConfigModel):
    """``global``: what holds where a job says nothing."""

    scrape_interval: Duration = Field(60.0, gt=0)
    """Time between scrapes of a target."""
    scrape_timeout: Duration = Field(10.0, gt=0)
    """How long a target may take to answer, and we to read that."""
    evaluation_interval: Duration = Field(60.0, gt=0)
    """Accepted for Prometheus' sake: there are no rules here."""
    external_labels: dict[str, str] = {}
    """Labels added to every sample."""


class ScrapeConfig(ConfigModel):
    """One of ``scrape_configs``: a job."""

    job_name: str = Field(min_length=1)
    """Name of the job, and ``service.name`` of what it finds."""
    honor_labels: bool = False
    """Which label wins where a target has one that the scrape adds: the target's, or ours, and the target's is called
    ``exported_…``."""
    honor_timestamps: bool = True
    """Take the timestamps that targets write, where they do."""
    track_timestamps_staleness: bool = False
    """Mark series with timestamps of their own as stale, too, when they are gone."""
    params: dict[str, list[str]] = {}
    """Parameters of the URL."""
    scrape_interval: Duration | None = Field(None, gt=0)
    """Time between scrapes of a target; absent = the global one."""
    scrape_timeout: Duration | None = Field(None, gt=0)
    """How long a target may take to answer, and we to read that; absent = the global one, at most the interval."""
    scrape_protocols: list[Protocol] = Field(
        [Protocol.OPENMETRICS_1, Protocol.OPENMETRICS_0, Protocol.TEXT], min_length=1
    )
    """Formats that targets are asked for, in order of preference."""
    metrics_path: str = "/metrics"
    """Path of the URL."""
    scheme: Literal["http", "https"] = "http"
    """Scheme of the URL."""
    basic_auth: BasicAuthConfig | None = None
    """Name and password for targets."""
    authorization: AuthorizationConfig | None = None
    """Other credentials for targets."""
    tls_config: TlsConfig = TlsConfig()
    """For ``https``."""
    follow_redirects: bool = True
    """Go where a target says."""
    enable_compression: bool = True
    """Ask targets for gzip."""
    static_configs: list[StaticConfig] = []
    """Targets."""
    file_sd_configs: list[FileDiscoveryConfig] = []
    """Files with targets; a change of a file is a change of the targets."""
    relabel_configs: list[RelabelConfig] = []
    """What becomes of targets, in order, before they are scraped."""
    metric_relabel_configs: list[RelabelConfig] = []
    """What becomes of samples, in order, before they are counted as the target's."""
    sample_limit: int = Field(0, ge=0)
    """Most samples after relabelling; a target with more has failed. 0 = no limit."""
    label_limit: int = Field(0, ge=0)
    """Most labels of a sample, likewise."""
    label_name_length_limit: int = Field(0, ge=0)
    """Longest name of a label, likewise."""
    label_value_length_limit: int = Field(0, ge=0)
    """Longest value of a label, likewise."""
    body_size_limit: Size = Field(64 * 1024 * 1024, ge=0)
    """Largest answer in bytes, uncompressed, likewise; 0 = no limit. Differs from Prometheus, which has none unset."""

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if self.basic_auth is not None and self.authorization is not None:
            msg = "either basic_auth or authorization"
            raise ValueError(msg)
        if self.scrape_interval and self.scrape_timeout and self.scrape_timeout > self.scrape_interval:
            msg = "scrape_timeout must not be longer than scrape_interval"
            raise ValueError(msg)
        return self


class PrometheusConfig(ConfigModel):
    """``config``."""

    global_: GlobalConfig = Field(GlobalConfig(), alias="global")
    """What holds where a job says nothing."""
    scrape_configs: list[ScrapeConfig] = Field(min_length=1)
    """The jobs."""

    @model_validator(mode="after")
    def _jobs_differ(self) -> Self:
        names = [job.job_name for job in self.scrape_configs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            msg = f"each job_name once: {', '.join(repeated)}"
            raise ValueError(msg)
        for job in self.scrape_configs:
            interval = job.scrape_interval or self.global_.scrape_interval
            if job.scrape_timeout is not None and job.scrape_timeout > interval:
                msg = f"scrape_timeout of job {job.job_name} must not be longer than its interval"
                raise ValueError(msg)
        return self


class PrometheusReceiverConfig(ComponentConfig):
    """What to scrape."""

    config: PrometheusConfig
    """As in a file of Prometheus; write ``$$1`` for ``$1`` in replacements."""

    def interval(self, job: ScrapeConfig) -> float:
        """Return the seconds between scrapes of a job."""
        return job.scrape_interval or self.config.global_.scrape_interval

    def timeout(self, job: ScrapeConfig) -> float:
        """Return the seconds that a target of a job may take."""
        return min(job.scrape_timeout or self.config.global_.scrape_timeout, self.interval(job))

    @property
    def external_labels(self) -> Mapping[str, str]:
        """Labels added to every sample."""
        return self.config.global_.external_labels
