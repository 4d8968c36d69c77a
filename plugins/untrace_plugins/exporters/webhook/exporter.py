"""The exporter ``webhook``."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus

from untrace_pipeline.api import ConsumeError, Host, PermanentError, Settings, Status
from untrace_pipeline.delivery import DELIVERED, Outcome, Prepared, Request
from untrace_pipeline.net.http_answer import Answer, Statuses, refusal
from untrace_pipeline.net.http_client import HttpClient, host_of
from untrace_plugins.exporters._http import HttpExporter
from untrace_plugins.exporters.webhook.config import Form, WebhookConfig
from untrace_plugins.exporters.webhook.messages import writer
from untrace_plugins.signing.keys import signing_key
from untrace_plugins.signing.standard import signed_headers

__all__ = ["WebhookExporter"]

_STATUSES = Statuses(
    retry=frozenset({408, 425, 429, 500, 502, 503, 504}),
    meanings={HTTPStatus.GONE: "the destination wants no more"},
)


class WebhookExporter(HttpExporter):
    """Sends each item, or each request, as one signed message."""

    def __init__(self, config: WebhookConfig, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._settings = settings
        self._clock = clock
        self._keys = [signing_key(secret.reveal()) for secret in config.secrets]
        self._write = writer(config)
        self._one_by_one = config.one_per_item and config.form is not Form.OTLP_JSON
        self._own_type = "content-type" in {name.lower() for name in config.headers}
        self._gone_until = 0.0
        self._host: Host | None = None
        secrets = [secret.reveal() for secret in config.secrets]
        client = HttpClient(config, settings.logger, hidden=secrets, guarded=not config.allow_private)
        super().__init__(config, settings, client)
        settings.meter.gauge("exporter_webhook_gone").observe_with(lambda: float(self._is_gone))

    @property
    def destination(self) -> str:
        """Host and port."""
        return host_of(self._config.endpoint)

    async def start(self, host: Host) -> None:
        """Make the connection pool, without waiting for the destination: it may come up later."""
        self._host = host
        await super().start(host)

    async def prepare(self, request: Request) -> Prepared:
        """Return a request for each item, so that each has attempts of its own; or the request as it is."""
        if not self._one_by_one or request.items == 1:
            request.prepared = True
            return Prepared([request])
        return Prepared([Request(part, 1, prepared=True) for part in request.batch.split(max_items=1)])

    async def send(self, request: Request) -> Outcome:
        """Send one message."""
        if self._is_gone:
            raise PermanentError("the destination said 410 Gone, and is left alone")
        message = self._write(request.batch)
        headers = dict(signed_headers(self._keys, message.id, int(self._clock()), message.body))
        if not self._own_type:
            headers["Content-Type"] = message.content_type
        await self._client.request(self._config.method, self._config.endpoint, message.body, headers, judge=self._judge)
        return DELIVERED

    @property
    def _is_gone(self) -> bool:
        return self._clock() < self._gone_until

    def _judge(self, answer: Answer) -> ConsumeError | None:
        """Return what an answer stands for: 2xx alone is success."""
        if _STATUSES.succeeded(answer.status):
            self._come_back()
            return None
        if answer.status == HTTPStatus.GONE:
            self._go()
        return refusal(answer, _STATUSES)

    def _go(self) -> None:
        """Leave the destination alone from now on."""
        self._gone_until = self._clock() + self._config.gone_pause
        self._settings.logger.error(
            "%s said 410 Gone: nothing is sent for %d s, what comes meanwhile is given up",
            self.destination,
            self._config.gone_pause,
        )
        if self._host is not None:
            self._host.report(Status.PERMANENT_ERROR, f"{self.destination} said 410 Gone")

    def _come_back(self) -> None:
        """Say that a destination that was gone takes messages again."""
        if self._gone_until and self._host is not None:
            self._host.report(Status.OK, f"{self.destination} takes data again")
        self._gone_until = 0.0
