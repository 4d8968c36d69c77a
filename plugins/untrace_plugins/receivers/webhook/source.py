"""One source: whose requests these are, and what their events become."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

from untrace_pipeline.api import StartError
from untrace_pipeline.net.http_message import Request
from untrace_pipeline.net.secret_file import SecretFile
from untrace_plugins.core_trace.checking import InvalidError, load
from untrace_plugins.receivers.webhook.config import SourceConfig
from untrace_plugins.receivers.webhook.presets import CHALLENGES
from untrace_plugins.shaping.expressions import Evaluate, View, compile_expression
from untrace_plugins.signing.keys import VerifyingKey
from untrace_plugins.signing.schemes import SignatureError, read_keys, verify

__all__ = ["Source"]

_FORM = "application/x-www-form-urlencoded"


class Source:
    """Checks and reads the requests of one source."""

    def __init__(self, name: str, config: SourceConfig, logger: logging.Logger, clock: Callable[[], float]) -> None:
        self.name = name
        self.config = config
        self._logger = logger
        self._clock = clock
        self._scheme = config.signed
        self._files = [SecretFile(path, logger) for path in config.secret_files]
        self._versions: list[int] | None = None
        self._secrets: list[str] = []
        self._keys: Sequence[VerifyingKey] = ()
        self._only = [(compile_expression(text), frozenset(values)) for text, values in config.only.items()]
        self._events = compile_expression(config.events) if config.events else None
        self._event_id = compile_expression(config.event_id) if config.event_id else None
        asked = CHALLENGES.get(str(config.scheme))
        self._challenge: tuple[Evaluate, str, Evaluate] | None = None
        if asked is not None:
            self._challenge = compile_expression(asked[0]), asked[1], compile_expression(asked[2])

    def open(self) -> None:
        """Read the files of secrets. Raises :class:`StartError`."""
        for file in self._files:
            file.open()
        try:
            self._renew()
        except (ValueError, ImportError) as error:
            msg = f"source {self.name}: secret_files: {error}"
            raise StartError(msg) from error
        if self.config.scheme != "none" and not self._secrets:
            msg = f"source {self.name}: there is no secret in secret_files"
            raise StartError(msg)

    def verify(self, request: Request, body: bytes) -> str:
        """Return an id by which a repetition is known, empty if there is none. Raises :class:`SignatureError`."""
        self._renew_if_changed()
        if self.config.scheme == "none":
            return ""
        if self._scheme is not None:
            return verify(self._scheme, self._keys, request.header, body, self._clock(), self.config.tolerance)
        given, right = _token(request.header(self.config.token_header.lower())).encode("latin-1", "replace"), False
        for secret in self._secrets:
            right |= hmac.compare_digest(given, secret.encode())
        if not right:
            raise SignatureError(f"the secret in the header {self.config.token_header} is missing or wrong")
        return ""

    def read(self, request: Request, body: bytes) -> View:
        """Return what expressions look at. Raises :class:`InvalidError` for what is neither JSON nor a form."""
        given: Any
        if request.header("content-type").partition(";")[0].strip().lower() == _FORM:
            fields = {name: values[0] for name, values in _form(body).items()}
            given = load(fields["payload"].encode()) if "payload" in fields else fields
        else:
            given = load(body)
        return View(given, given, request.header)

    def answer(self, view: View) -> str | None:
        """Return what a sender wants to hear that asks who is there; ``None`` if it does not."""
        if self._challenge is None or self._challenge[0](view) != self._challenge[1]:
            return None
        found = self._challenge[2](view)
        return found if isinstance(found, str) else None

    def events(self, view: View) -> tuple[list[View], int]:
        """Return the events of a body that are wanted, and how many there are in all."""
        found = view.body if self._events is None else self._events(view)
        listed = found if isinstance(found, list) and self._events is not None else [found]
        views = [View(one, view.body, view.header) for one in listed if one is not None]
        return [one for one in views if all(str(read(one)) in values for read, values in self._only)], len(views)

    def repetition(self, view: View, signed: str) -> str:
        """Return the id by which a repetition is known; empty if there is none."""
        own = None if self._event_id is None else self._event_id(view)
        return hashlib.sha256(str(own).encode()).hexdigest() if own is not None else signed

    def _renew_if_changed(self) -> None:
        try:
            self._renew()
        except (ValueError, ImportError) as error:
            self._logger.warning("source %s: new secrets are not taken: %s", self.name, error)

    def _renew(self) -> None:
        contents = [file.read() for file in self._files]
        versions = [file.version for file in self._files]
        if versions == self._versions:
            return
        self._versions = versions
        lines = [line.strip() for content in contents for line in content.splitlines() if line.strip()]
        secrets = [*(secret.reveal() for secret in self.config.secrets), *lines]
        if self._scheme is not None:
            self._keys = read_keys(self._scheme, secrets)
        self._secrets = secrets


def _token(value: str) -> str:
    scheme, _, rest = value.strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else value.strip()


def _form(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(body.decode(), max_num_fields=1000)
    except ValueError as error:
        raise InvalidError("the body is no form") from error
