"""Options that clients of AWS have in common."""

from __future__ import annotations

import os
from typing import Self

from pydantic import Field, model_validator

from untrace_pipeline.api import ConfigModel, Secret

__all__ = ["AwsConfig"]

DEFAULT_REGION = "us-east-1"


class AwsConfig(ConfigModel):
    """Who we are for AWS, and where.

    Without keys or a profile, credentials are found as AWS's own tools find them: environment, shared files, web
    identity (IRSA), container (ECS, EKS Pod Identity), instance metadata. They are renewed before they expire.
    """

    region: str = ""
    """Region of the service; absent = ``AWS_REGION`` or ``AWS_DEFAULT_REGION``, else ``us-east-1``."""
    access_key_id: str = ""
    """Fixed key, with ``secret_access_key``. Example: ``${env:S3_KEY_ID}``."""
    secret_access_key: Secret = Secret("")
    """Its secret."""
    session_token: Secret = Secret("")
    """Token that belongs to the key, where the key is temporary."""
    profile: str = ""
    """Profile of the shared configuration files to use."""
    role_arn: str = ""
    """Role to assume with these credentials."""
    external_id: str = Field("", max_length=1224)
    """What the role asks for besides."""

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if bool(self.access_key_id) != bool(self.secret_access_key):
            msg = "access_key_id and secret_access_key belong together"
            raise ValueError(msg)
        if self.access_key_id and self.profile:
            msg = "either access_key_id or profile, not both"
            raise ValueError(msg)
        if self.session_token and not self.access_key_id:
            msg = "session_token needs access_key_id and secret_access_key"
            raise ValueError(msg)
        return self

    @property
    def role_in_force(self) -> str:
        """The role to assume; empty for none."""
        return self.role_arn

    @property
    def region_in_force(self) -> str:
        """The region, from whatever says it."""
        environment = os.environ
        return self.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
