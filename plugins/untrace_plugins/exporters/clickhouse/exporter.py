"""The exporter ``clickhouse``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple
from urllib.parse import urlencode

from untrace_pipeline.api import ProbeResult, Settings
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import Outcome, Refused, Request
from untrace_pipeline.errors import Code, ConsumeError, OversizeError, PermanentError, RetryableError
from untrace_pipeline.net.client import one_line
from untrace_pipeline.net.http_client import HttpClient, host_of
from untrace_pipeline.net.nodes import Nodes
from untrace_pipeline.net.probing import ask
from untrace_plugins.exporters._http import HttpExporter
from untrace_plugins.exporters.clickhouse.answers import BadRowError, MissingTableError, judge
from untrace_plugins.exporters.clickhouse.config import ClickhouseConfig
from untrace_plugins.exporters.clickhouse.records import Record, Records
from untrace_plugins.exporters.clickhouse.schema import statements, table_of

__all__ = ["ClickhouseExporter"]

CONTENT_TYPE = "application/x-ndjson"


class Insert(NamedTuple):
    """Rows of one table that go together."""

    kind: str
    items: Sequence[int]
    """Which items of the batch they are."""
    lines: Sequence[bytes]

    def halves(self) -> tuple[Insert, Insert]:
        """Return the first and the second half."""
        middle = len(self.items) // 2
        return (
            Insert(self.kind, self.items[:middle], self.lines[:middle]),
            Insert(self.kind, self.items[middle:], self.lines[middle:]),
        )


class ClickhouseExporter(HttpExporter):
    """Sends each request as one insert per table."""

    def __init__(self, config: ClickhouseConfig, settings: Settings) -> None:
        self._config = config
        self._signals = sorted(settings.signals)
        self._records = Records(json_columns=config.json_columns)
        self._nodes = Nodes(config.nodes)
        headers = {**config.credentials(), **config.headers}
        where = config.model_copy(update={"headers": headers, "endpoint": config.nodes[0]})
        client = HttpClient(where, settings.logger)
        self._prepared = not config.create_schema
        self._preparing = asyncio.Lock()
        super().__init__(config, settings, client)

    @property
    def destination(self) -> str:
        """Host and port of each server."""
        return ",".join([host_of(url) for url in self._config.nodes])

    async def send(self, request: Request) -> Outcome:
        """Make one attempt: an insert for each table; where one fails, only its rows are sent again."""
        await self._prepare()
        # A handle of its own: what is decoded here must not stay in memory with the request.
        batch = Batch(request.batch.signal, request.batch.to_otlp(), request.batch.context)
        records = await asyncio.to_thread(self._records.of, batch)
        ends = _Ends(batch)
        for insert in _inserts(records, self._config.max_insert_bytes):
            try:
                await self._insert(insert, request.key, ends)
            except MissingTableError as error:
                self._prepared = not self._config.create_schema
                ends.leave(insert, error)
            except RetryableError as error:
                ends.leave(insert, error)
            except ConsumeError as error:
                ends.refuse(insert, error)
        return ends.outcome()

    async def probe(self) -> Sequence[ProbeResult]:
        """Ask for a number, which needs an account that may ask."""
        url = f"{self._config.nodes[0]}/?{urlencode({'query': 'SELECT 1'})}"
        return await ask(self._client.request("POST", url))

    async def _insert(self, insert: Insert, key: str, ends: _Ends) -> None:
        """Insert rows. Where one cannot be taken, or all are too large together, they are inserted in halves."""
        query = f"INSERT INTO {table_of(self._config, insert.kind)} FORMAT JSONEachRow"
        try:
            await self._run(query, b"\n".join(insert.lines), f"{key}:{insert.items[0]}:{len(insert.items)}")
        except (BadRowError, OversizeError) as error:
            if len(insert.items) == 1:
                ends.refuse(insert, error)
                return
            for half in insert.halves():
                await self._insert(half, key, ends)

    async def _prepare(self) -> None:
        """Make the tables, before anything is inserted. Raises where that fails, and is tried again then."""
        if self._prepared:
            return
        async with self._preparing:
            if self._prepared:
                return
            for statement in statements(self._config, self._signals):
                try:
                    await self._run(statement)
                except PermanentError as error:
                    what = statement.partition("(")[0].strip()
                    msg = f"{what}: {one_line(error.detail or str(error))}"
                    raise RetryableError(msg, code=Code.FAILED_PRECONDITION) from error
            self._prepared = True

    async def _run(self, query: str, body: bytes = b"", token: str = "") -> None:
        options = {"query": query, **self._config.connection_params}
        if body:
            # Texts of times are read as they are, whatever zone the server lives in; see records.py.
            options |= {"date_time_input_format": "best_effort", "input_format_skip_unknown_fields": "1"}
            if self._config.async_insert:
                options |= {"async_insert": "1", "wait_for_async_insert": "1"}
            else:
                options["insert_deduplication_token"] = token
        path = f"/?{urlencode(options)}"
        await self._nodes.ask(partial(self._ask, path, body))

    async def _ask(self, path: str, body: bytes, node: str) -> None:
        await self._client.request("POST", node + path, body, {"Content-Type": CONTENT_TYPE}, judge=judge)


class _Ends:
    """What became of the items of a batch."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._left: dict[int, RetryableError] = {}
        self._refused: dict[int, PermanentError] = {}

    def leave(self, insert: Insert, error: RetryableError) -> None:
        """Have rows sent again."""
        self._left.update(dict.fromkeys(insert.items, error))

    def refuse(self, insert: Insert, error: ConsumeError) -> None:
        """Give rows up."""
        assert isinstance(error, PermanentError)
        self._refused.update(dict.fromkeys(insert.items, error))

    def outcome(self) -> Outcome:
        """Return what became of all. Raises where nothing was taken, for one reason."""
        items = self._batch.item_count
        for ends in (self._left, self._refused):
            if len(ends) == items and len(set(map(id, ends.values()))) == 1:
                raise next(iter(ends.values()))
        cause = next(iter(self._left.values()), None)
        keys = [self._refused.get(item) or ("rest" if item in self._left else None) for item in range(items)]
        parts = self._batch.partition(keys)
        rest = parts.pop("rest", None)
        refused = [Refused(part, error) for error, part in parts.items() if isinstance(error, PermanentError)]
        return Outcome(rest=rest, cause=cause, refused=refused)


def _inserts(records: Sequence[Record], max_bytes: int) -> Iterator[Insert]:
    """Yield the rows by table, at most so many bytes together."""
    held: dict[str, tuple[list[int], list[bytes]]] = {}
    sizes: dict[str, int] = {}
    for item, record in enumerate(records):
        size = sizes.get(record.kind, 0) + len(record.line) + 1
        if size > max_bytes and record.kind in held:
            yield Insert(record.kind, *held.pop(record.kind))
            size = len(record.line) + 1
        items, lines = held.setdefault(record.kind, ([], []))
        items.append(item)
        lines.append(record.line)
        sizes[record.kind] = size
    for kind, (items, lines) in held.items():
        yield Insert(kind, items, lines)
