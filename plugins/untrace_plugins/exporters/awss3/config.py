"""Options of the exporter ``awss3``, and what they are for ``object_store``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import ConfigModel, Duration
from untrace_pipeline.delivery import DeliveryConfig, QueueConfig
from untrace_plugins.exporters.object_store.config import Compression, Format, ObjectStoreConfig, check_partition
from untrace_plugins.stores.config import S3Config

__all__ = ["AwsS3Config"]


class UploaderConfig(ConfigModel):
    """``s3uploader``."""

    region: str = "us-east-1"
    """Region of the bucket."""
    s3_bucket: str = Field(min_length=1)
    """Bucket."""
    s3_prefix: str = ""
    """Prefix of keys."""
    s3_base_prefix: str = ""
    """Before it, whatever ``resource_attrs_to_s3`` says."""
    s3_partition_format: str = "year=%Y/month=%m/day=%d/hour=%H/minute=%M"
    """Next in keys: when the data arrived, as strftime writes it."""
    s3_partition_timezone: str = "local"
    """Whose clock that is: ``local``, ``UTC`` or a name such as ``Europe/Berlin``."""
    file_prefix: str = ""
    """Before the name of the signal in the last part of keys."""
    endpoint: str = ""
    """URL of another service that speaks the same protocol."""
    role_arn: str = ""
    """Role to assume."""
    s3_force_path_style: bool = False
    """The bucket in the path instead of the host name."""
    disable_ssl: bool = False
    """``http`` where ``endpoint`` names no scheme."""
    acl: str = ""
    """Canned ACL of the objects."""
    storage_class: str = "STANDARD"
    """Class of the objects."""
    compression: Literal["none", "gzip", "zstd"] = "none"
    """``none`` or ``gzip``, or ``zstd``, which the Collector does not have."""
    retry_mode: Literal["standard", "adaptive", "nop"] = "standard"
    """Accepted for the Collector's sake: ``retry_on_failure`` says when to try again."""
    retry_max_attempts: int = Field(3, ge=0)
    """Accepted for the Collector's sake."""
    retry_max_backoff: Duration = Field(20.0, ge=0)
    """Accepted for the Collector's sake."""
    unique_key_func_name: Literal["", "uuidv7"] = ""
    """Accepted for the Collector's sake: ids are always UUIDs of version 7. Differs from the Collector, whose are
    random: these are the same at each attempt."""

    @field_validator("compression", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return value or "none"

    @field_validator("s3_partition_format")
    @classmethod
    def _is_format(cls, text: str) -> str:
        return check_partition(text)

    @property
    def address(self) -> str:
        """The endpoint as a URL."""
        scheme = "http" if self.disable_ssl else "https"
        return self.endpoint if not self.endpoint or "://" in self.endpoint else f"{scheme}://{self.endpoint}"


class AttributesConfig(ConfigModel):
    """``resource_attrs_to_s3``."""

    s3_prefix: str = ""
    """Resource attribute that takes the place of ``s3_prefix``."""
    s3_bucket: str = ""
    """Not supported: data must not choose where it goes. Use a connector ``routing``, an exporter for each bucket."""

    @field_validator("s3_bucket")
    @classmethod
    def _not_by_data(cls, value: str) -> str:
        if value:
            msg = "not supported: use a routing connector, with an exporter for each bucket"
            raise ValueError(msg)
        return value


class DirectQueueConfig(QueueConfig):
    """``sending_queue`` with the default of the Collector's ``awss3``."""

    enabled: bool = False
    """Without a queue, ``consume`` returns after S3 has answered; write ``enabled: true`` for one."""


class AwsS3Config(DeliveryConfig):
    """The keys and defaults of the Collector's ``awss3`` exporter."""

    s3uploader: UploaderConfig
    """Where objects go."""
    marshaler: Literal["otlp_json", "otlp_proto"] = "otlp_json"
    """``otlp_json`` or ``otlp_proto``. Differs from the Collector: there is no ``sumo_ic`` and no ``body``."""
    resource_attrs_to_s3: AttributesConfig = AttributesConfig()
    """What resources say about where they go."""
    sending_queue: DirectQueueConfig = DirectQueueConfig()
    """Queue in front of S3."""

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        self.as_object_store()
        return self

    def as_object_store(self) -> ObjectStoreConfig:
        """Return the options that mean the same. Raises ``ValidationError`` for those that mean nothing."""
        given = self.s3uploader
        same = ObjectStoreConfig(
            url=f"s3://{given.s3_bucket}",
            s3=S3Config(
                region=given.region,
                endpoint=given.address,
                role_arn=given.role_arn,
                force_path_style=given.s3_force_path_style,
                acl=given.acl,
                storage_class="" if given.storage_class == "STANDARD" else given.storage_class,
            ),
            format=Format(self.marshaler),
            compression=Compression(given.compression),
            base_prefix=given.s3_base_prefix,
            prefix=given.s3_prefix,
            prefix_from_attribute=self.resource_attrs_to_s3.s3_prefix,
            partition_format=given.s3_partition_format,
            partition_timezone=given.s3_partition_timezone,
            file_prefix=given.file_prefix,
        )
        return same.model_copy(update={name: getattr(self, name) for name in DeliveryConfig.model_fields})
