"""Tail sampling beside the Collector, what the cases do not show: feature gates, and spans that come late."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.integration.collector.harness import METHODS, Case, build_config, run_cases
from tests.integration.collector.inputs import INPUTS
from tests.support.peers import Collector, ConfiguredProcess, Daemon
from tests.support.peers.canonical import canonical_items, describe_difference, parse_proto, read_framed
from tests.support.wait import wait_until

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("both_daemons"), pytest.mark.timeout(300)]

GATES = ",".join(f"+processor.tailsamplingprocessor.{gate}" for gate in ("usetracestate", "recordpolicy"))
ERRORS = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
HALF = {"name": "half", "type": "probabilistic", "probabilistic": {"sampling_percentage": 50}}
TENTH = {"name": "tenth", "type": "probabilistic", "probabilistic": {"sampling_percentage": 10}}
MANY = {"name": "many", "type": "span_count", "span_count": {"min_spans": 3}}


class GatedCollector(Collector):
    """The Collector with the feature gates that are options of ours."""

    def command(self, config: Path) -> Sequence[str]:
        """Run it with the gates."""
        return [*super().command(config), f"--feature-gates={GATES}"]


def case(name: str, policies: list[dict[str, Any]], ours: dict[str, Any], **options: Any) -> Case:
    sampling = {"policies": policies, "decision_wait": "60s", "num_traces": 10_000, **options}
    own = {"record_adjusted_count": False, **ours}
    return Case("tail_sampling", name, {"tail_sampling": sampling}, {"tail_sampling": own}, None, ["traces"], "tail")


def test_feature_gates() -> None:
    """Chance follows marked randomness, thresholds are written, and the policy is named, as with the gates."""
    both = [{"type": "and", "name": "both", "and": {"and_sub_policy": [HALF, MANY]}}]
    options = {"use_tracestate": True, "record_policy": True}
    cases = [
        case(name, policies, options)
        for name, policies in (("half", [HALF]), ("errors or a tenth", [ERRORS, TENTH]), ("half of many", both))
    ]
    ours, theirs = run_cases(Daemon, cases), run_cases(GatedCollector, cases)
    for one in cases:
        mine, other = ours[one.name], theirs[one.name]
        assert not isinstance(mine, Exception), mine
        assert not isinstance(other, Exception), other
        for place, items in other.items.items():
            assert items, f"{one.name}: nothing is sampled"
            difference = describe_difference(mine.items[place], items)
            assert not difference, f"{one.name}: {difference}"


def output(directory: Path) -> Counter[Any]:
    """Return all that has come out by now."""
    bodies = [parse_proto("traces", body) for path in directory.glob("*.bin") for body in read_framed(path)]
    return canonical_items("traces", bodies)


def in_two_halves(subject: type[ConfiguredProcess], one: Case, expected: int) -> Counter[Any]:
    """Send half of the input, wait until so many spans have come of it, and send the rest; return what came in all."""
    requests: list[Message] = INPUTS["tail"]()["traces"]
    half = len(requests) // 2
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config = build_config([one], ours=subject is Daemon)
        with (
            subject(config, directory=directory) as process,
            grpc.insecure_channel(process.endpoint(one.port)) as channel,
        ):
            call = channel.unary_unary(METHODS["traces"], lambda message: message.SerializeToString(), None)
            for request in requests[:half]:
                call(request, timeout=30)
            wait_until(lambda: sum(output(directory).values()) >= expected, process)
            for request in requests[half:]:
                call(request, timeout=30)
        return output(directory)


def failed(requests: Sequence[Message]) -> int:
    """Return how many spans the traces have in which something failed."""
    spans = [
        span for one in requests for group in one.resource_spans for scope in group.scope_spans for span in scope.spans
    ]  # type: ignore[attr-defined]
    bad = {span.trace_id for span in spans if span.status.code == Status.STATUS_CODE_ERROR}
    return sum(span.trace_id in bad for span in spans)


def test_late_spans() -> None:
    """Spans of decided traces follow the decision, whatever the policies would say of them; new traces are decided."""
    requests = INPUTS["tail"]()["traces"]
    first = failed(requests[: len(requests) // 2])
    one = case("late", [ERRORS], {}, decision_wait="1s")
    theirs = in_two_halves(Collector, one, first)
    ours = in_two_halves(Daemon, one, first)
    assert first < sum(theirs.values()) < failed(requests), "some came late, of traces that were kept and of others"
    difference = describe_difference(ours, theirs)
    assert not difference, difference
