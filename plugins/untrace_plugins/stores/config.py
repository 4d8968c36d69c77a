"""Options of an object store."""

from __future__ import annotations

from base64 import b64decode
from enum import StrEnum
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import ConfigModel, Secret, Size
from untrace_pipeline.net.http_client import check_url
from untrace_pipeline.net.tls import ClientTlsConfig
from untrace_plugins.clouds.config import AwsConfig

__all__ = ["AzureConfig", "Checksum", "DirectoryConfig", "GcsConfig", "Provider", "S3Config", "StoreConfig"]

LEAST_PART_BYTES = 5 * 1024 * 1024
"""S3 takes no smaller part but the last."""


class Provider(StrEnum):
    """Who keeps the objects; the value is the scheme of the URL."""

    S3 = "s3"
    GCS = "gs"
    AZURE = "az"
    DIRECTORY = "file"


_EXAMPLES = "s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///directory"


class Checksum(StrEnum):
    """Which checksum S3 keeps with an object."""

    CRC32 = "crc32"
    SHA256 = "sha256"
    NONE = "none"


class _Endpoint(ConfigModel):
    """A service of which there may be another than the cloud's own."""

    endpoint: str = ""
    """URL of another service that speaks the same protocol; absent = the cloud's own. Example: ``http://minio:9000``."""

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, url: str) -> str:
        return check_url(url).rstrip("/")


class EncryptionConfig(ConfigModel):
    """``s3.server_side_encryption``."""

    algorithm: Literal["AES256", "aws:kms", "aws:kms:dsse"] = "aws:kms"
    """``AES256`` (keys of S3), ``aws:kms`` or ``aws:kms:dsse``."""
    kms_key_id: str = ""
    """Key of KMS; absent = the account's own."""
    bucket_key: bool = False
    """Let S3 derive keys from one of the bucket, which costs fewer requests to KMS."""


class S3Config(_Endpoint, AwsConfig):
    """``s3``: for URLs ``s3://bucket/prefix``."""

    force_path_style: bool | None = None
    """Whether the bucket is in the path instead of the host name; absent = where there is an ``endpoint`` of your own,
    or a dot in the bucket's name."""
    storage_class: str = ""
    """Class of the objects; absent = the bucket's default. Example: ``STANDARD_IA``."""
    acl: str = ""
    """Canned ACL of the objects, for buckets that have ACLs. Example: ``bucket-owner-full-control``."""
    tags: dict[str, str] = Field({}, max_length=10)
    """Tags of the objects, ten at most."""
    server_side_encryption: EncryptionConfig | None = None
    """Absent = as the bucket says."""
    checksum: Checksum = Checksum.CRC32
    """Checksum that is kept with the object: ``crc32``, ``sha256``, or ``none`` for services that know none. The
    signature covers the body with any of them."""


class GcsConfig(_Endpoint):
    """``gcs``: for URLs ``gs://bucket/prefix``.

    Without a file or a token, Application Default Credentials: ``GOOGLE_APPLICATION_CREDENTIALS``, workload identity,
    the metadata server.
    """

    credentials_file: str = ""
    """Key of a service account, as JSON; a configuration of workload identity is found by
    ``GOOGLE_APPLICATION_CREDENTIALS``."""
    access_token: Secret = Secret("")
    """Token to show instead, as long as it lives."""
    anonymous: bool = False
    """Show nothing: for emulators."""
    storage_class: str = ""
    """Class of the objects; absent = the bucket's default. Example: ``NEARLINE``."""
    predefined_acl: str = ""
    """ACL of the objects, for buckets that have ACLs. Example: ``bucketOwnerFullControl``."""
    kms_key: str = ""
    """Key of Cloud KMS to encrypt with: ``projects/…/cryptoKeys/…``."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(map(bool, (self.credentials_file, self.access_token, self.anonymous))) > 1:
            msg = "one of credentials_file, access_token and anonymous"
            raise ValueError(msg)
        return self


class AzureConfig(_Endpoint):
    """``azure``: for URLs ``az://container/prefix``.

    Without a key or a SAS, credentials are found as ``DefaultAzureCredential`` does: environment, workload identity,
    managed identity.
    """

    account: str = ""
    """Storage account. Example: ``mytraces``."""
    account_key: Secret = Secret("")
    """Shared key of the account."""
    sas_token: Secret = Secret("")
    """Shared access signature: ``sv=…&sig=…``."""
    access_tier: str = ""
    """Tier of the blobs; absent = the account's default. Example: ``Cool``."""
    encryption_scope: str = ""
    """Encryption scope of the blobs."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.account_key and self.sas_token:
            msg = "either account_key or sas_token, not both"
            raise ValueError(msg)
        if self.account_key and not self.account:
            msg = "account_key needs account"
            raise ValueError(msg)
        return self

    @field_validator("account_key")
    @classmethod
    def _is_key(cls, key: Secret) -> Secret:
        try:
            b64decode(key.reveal(), validate=True)
        except ValueError:
            msg = "a key of a storage account, which is base64"
            raise ValueError(msg) from None
        return key


class DirectoryConfig(ConfigModel):
    """``file``: for URLs ``file:///directory``."""

    directory_permissions: str = Field("0755", pattern=r"^0?[0-7]{3}$")
    """Permissions of directories that are created, octal."""
    file_permissions: str = Field("0644", pattern=r"^0?[0-7]{3}$")
    """Permissions of the files, octal."""
    fsync: bool = True
    """Whether an object counts as stored only when the disk has it; without, a crash of the machine may lose it."""


class StoreConfig(ConfigModel):
    """Where objects go; base of the configuration of who puts some."""

    url: str
    """Store, bucket and prefix: ``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix`` or
    ``file:///directory``."""
    s3: S3Config = S3Config()
    """For ``s3://``."""
    gcs: GcsConfig = GcsConfig()
    """For ``gs://``."""
    azure: AzureConfig = AzureConfig()
    """For ``az://``."""
    file: DirectoryConfig = DirectoryConfig()
    """For ``file://``."""
    create_only: bool = True
    """Never write over an object: names are those of the content, so one that is there already is the same, stored by
    an earlier attempt. ``false`` for services that know no conditional writes: the same content is written again."""
    part_size: Size = Field(16 * 1024 * 1024, ge=LEAST_PART_BYTES, le=4 * 1024**3)
    """Larger objects are sent in parts of this size."""
    part_concurrency: int = Field(4, ge=1, le=64)
    """Parts of one object that are sent at once."""
    tls: ClientTlsConfig = ClientTlsConfig()
    """For ``https`` URLs of a service of your own."""
    proxy_url: str = ""
    """HTTP proxy; absent = what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say. Example: ``http://proxy:3128``."""

    @field_validator("url")
    @classmethod
    def _is_store(cls, url: str) -> str:
        parts = urlsplit(url)
        local = parts.scheme == Provider.DIRECTORY
        whole = parts.path.startswith("/") and not parts.netloc if local else bool(parts.netloc)
        plain = not (parts.query or parts.fragment or "@" in parts.netloc or ":" in parts.netloc)
        if parts.scheme not in set(Provider) or not whole or not plain:
            raise ValueError(_EXAMPLES)
        return url

    @field_validator("proxy_url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        return check_url(url)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.provider is Provider.AZURE and not (self.azure.account or self.azure.endpoint):
            msg = "az:// needs azure.account, or azure.endpoint"
            raise ValueError(msg)
        return self

    @property
    def provider(self) -> Provider:
        """Who keeps the objects."""
        return Provider(urlsplit(self.url).scheme)

    @property
    def bucket(self) -> str:
        """Bucket or container; empty for a directory."""
        return urlsplit(self.url).netloc

    @property
    def base(self) -> str:
        """What all keys begin with, without slashes around it; the path of a directory."""
        path = unquote(urlsplit(self.url).path)
        return path if self.provider is Provider.DIRECTORY else path.strip("/")
