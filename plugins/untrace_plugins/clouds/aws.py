"""Credentials as AWS's own tools find them, and signatures of requests (Signature Version 4)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

import botocore.session
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import AssumeRoleCredentialFetcher, Credentials, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError

from untrace_pipeline.errors import Code, RetryableError
from untrace_pipeline.net.client import one_line
from untrace_plugins.clouds.config import AwsConfig

__all__ = ["Signer"]

ROLE_SESSION = "untrace-pipeline"


class Signer:
    """Signs requests to one service. Looks for credentials when the first request is to be signed."""

    def __init__(self, config: AwsConfig, service: str) -> None:
        self._config = config
        self._service = service
        self._credentials: Any = None
        self._lock = threading.Lock()

    async def headers(self, method: str, url: str, headers: Mapping[str, str], data: bytes) -> Mapping[str, str]:
        """Return the headers of a request, with those that prove who we are and that the body is what it was.

        In a thread, because credentials may have to be asked for, and the body is hashed. Raises
        :class:`RetryableError` where there are no credentials.
        """
        return await asyncio.to_thread(self._sign, method, url, headers, data)

    def renew(self) -> None:
        """Look for credentials again: the service does not take them any more."""
        self._credentials = None

    def _sign(self, method: str, url: str, headers: Mapping[str, str], data: bytes) -> Mapping[str, str]:
        try:
            credentials = self._found()
        except (BotoCoreError, ClientError) as error:
            msg = f"no AWS credentials: {one_line(str(error))}"
            raise RetryableError(msg, code=Code.UNAUTHENTICATED) from error
        request = AWSRequest(method, url, headers=dict(headers), data=data)
        auth = S3SigV4Auth if self._service == "s3" else SigV4Auth
        auth(credentials, self._service, self._config.region_in_force).add_auth(request)
        return dict(request.headers.items())

    def _found(self) -> Any:
        with self._lock:
            if self._credentials is None:
                self._credentials = self._look()
            return self._credentials.get_frozen_credentials()

    def _look(self) -> Any:
        config = self._config
        session = botocore.session.Session(profile=config.profile or None)
        if config.access_key_id:
            token = config.session_token.reveal() or None
            found: Any = Credentials(config.access_key_id, config.secret_access_key.reveal(), token)
        else:
            found = session.get_credentials()
        if found is None:
            msg = "no AWS credentials: none configured, and none in the environment, shared files or metadata"
            raise RetryableError(msg, code=Code.UNAUTHENTICATED)
        return self._assumed(session, found) if config.role_in_force else found

    def _assumed(self, session: Any, source: Any) -> Any:
        config = self._config
        extra = {"RoleSessionName": ROLE_SESSION} | ({"ExternalId": config.external_id} if config.external_id else {})
        creator = partial(session.create_client, region_name=config.region_in_force)
        fetcher = AssumeRoleCredentialFetcher(creator, source, config.role_in_force, extra_args=extra)
        return DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method="assume-role")
