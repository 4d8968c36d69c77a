"""Destinations of rules: who gets all of it, who gets a share, and who gets it instead."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from untrace_pipeline.api import Consumer, Host, PipelineId, RetryableError, Settings, StartError
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value
from untrace_plugins.connectors.routing.fallback import Fallback
from untrace_plugins.connectors.routing.rules_config import Destination, DestinationConfig, name_of, pipeline_of
from untrace_plugins.sampling.hashing import Hasher

__all__ = ["Doors", "Plan", "Target", "Way"]

_TRACE_ID = Field(Level.ITEM, "trace_id")
_RESOURCE = Field(Level.RESOURCE, ATTRIBUTES)
_ID_SIZE = 16
_NO_ID = bytes(_ID_SIZE)
_RANGE = 1 << 32


@dataclass(frozen=True, slots=True)
class Target:
    """A destination and the way to it."""

    name: str
    consumer: Consumer


class Plan:
    """Where what a rule takes goes: to all targets of ``everything``, and to one of those that have a share."""

    def __init__(self, rule: str, everything: Sequence[Target], shares: Sequence[tuple[Target, float]]) -> None:
        self.everything = tuple(everything)
        self.shared = tuple(target for target, _ in shares)
        # What each target's part of the range of hashes ends with; a larger share keeps the traces of a smaller one.
        self._ends = [round(end / 100 * _RANGE) for end in accumulate(share for _, share in shares)]
        self._hasher = Hasher(rule.encode())

    def __bool__(self) -> bool:
        return bool(self.everything or self.shared)

    def deal(self, batch: Batch) -> list[tuple[Target, list[bool] | None]]:
        """Return what each target gets, as a mask over the items; ``None`` stands for all of them."""
        dealt: list[tuple[Target, list[bool] | None]] = [(target, None) for target in self.everything]
        if self.shared:
            arms = self.arms(batch)
            found = dict.fromkeys(arms)
            for number, target in enumerate(self.shared):
                if number in found:
                    dealt.append((target, [arm == number for arm in arms]))
        return dealt

    def arms(self, batch: Batch) -> list[int]:
        """Return for each item which of the shared targets it goes to; their number, where it goes to none.

        Decided by a hash of the trace id that depends on the rule: in every request and every process the same, and
        independent of what samplers decide. What has no trace id goes by its resource.
        """
        ends = self._ends
        return [bisect_right(ends, hash_) for hash_ in self._hashes(batch)]

    def _hashes(self, batch: Batch) -> list[int]:
        ids: Sequence[Value] = [] if batch.signal is Signal.METRICS else batch.column(_TRACE_ID)
        if ids and all(isinstance(one, bytes) and len(one) == _ID_SIZE and one != _NO_ID for one in ids):
            return self._hasher.hash_ids(ids)  # type: ignore[arg-type]
        resources = [self._hasher.hash(_resource_key(value)) for value in batch.column(_RESOURCE)]
        hashes = [resources[owner] for owner in batch.parents(Level.ITEM, Level.RESOURCE)]
        for row, one in enumerate(ids):
            if isinstance(one, bytes) and one.strip(b"\0"):
                hashes[row] = self._hasher.hash(one)
        return hashes


def _resource_key(attributes: Value) -> bytes:
    """Return the same bytes for the same resource, in whatever order its attributes came."""
    found = attributes if isinstance(attributes, dict) else {}
    return repr(sorted(found.items(), key=lambda item: item[0])).encode("utf-8", "surrogatepass")


class Way:
    """The way to a pipeline through transformations, as they are configured at the moment."""

    def __init__(self, host: Host, transformations: Sequence[str], output: PipelineId) -> None:
        self._find = partial(host.through, transformations, output)

    async def prepare(self) -> None:
        """Start the transformations. Raises :class:`StartError`."""
        await self._find()

    async def consume(self, batch: Batch) -> None:
        """Pass the batch on. Raises :class:`ConsumeError`."""
        try:
            way = await self._find()
        except StartError as error:
            msg = f"a transformation of the rules is not there: {error}"
            raise RetryableError(msg) from error
        await way.consume(batch)


class Doors:
    """Finds the ways out for one signal. Raises :class:`StartError` for destinations that lead nowhere."""

    def __init__(self, signal: Signal, outputs: Mapping[PipelineId, Consumer], host: Host, settings: Settings) -> None:
        self.signal = signal
        self._outputs = outputs
        self._host = host
        self._settings = settings
        self.ways: list[Way] = []
        """Those through transformations."""

    def plan(
        self,
        rule: str,
        destinations: Sequence[Destination],
        fallback: Sequence[str],
        transformations: Sequence[str] = (),
    ) -> Plan:
        """Return the targets that have a pipeline of the signal."""
        spare = [way for name in fallback if (way := self._way(name, transformations)) is not None]
        everything, shares = [], []
        for one in destinations:
            way = self._way(name_of(one), transformations)
            if way is None:
                continue
            consumer = Fallback(self.signal, [way], spare, self._settings) if spare else way
            target = Target(name_of(one), consumer)
            if isinstance(one, DestinationConfig) and one.percentage is not None:
                shares.append((target, one.percentage))
            else:
                everything.append(target)
        return Plan(rule, everything, shares)

    def _way(self, name: str, transformations: Sequence[str]) -> Consumer | None:
        output = pipeline_of(name, self.signal)
        if output is None:
            return None  # of another signal
        if output not in self._outputs:
            if not any(pipeline_of(name, signal.signal) == signal for signal in self._outputs):
                known = ", ".join(str(one) for one in self._outputs) or "none"
                msg = f"destination {name}: no pipeline of that name has this connector as receiver; there: {known}"
                raise StartError(msg)
            return None
        if not transformations:
            return self._outputs[output]
        self.ways.append(Way(self._host, transformations, output))
        return self.ways[-1]
