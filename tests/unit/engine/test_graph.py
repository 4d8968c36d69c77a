"""What is wrong with a graph is found before anything is created, and the order of starting follows the data."""

from __future__ import annotations

import pytest

from tests.support.components import make_spec
from untrace_pipeline.api import Kind
from untrace_pipeline.config.diagnostics import Severity
from untrace_pipeline.engine.graph import find_problems, start_order


def codes(spec) -> list[str]:
    return [finding.code for finding in find_problems(spec)]


def test_a_sound_graph_has_no_problems() -> None:
    """Two pipelines of different signals and a connector between two of the same are accepted."""
    spec = make_spec(
        {
            "traces": (["fake"], ["odd"], ["fake/c"]),
            "traces/2": (["fake/c"], [], ["fake"]),
            "logs": (["fake"], [], ["fake"]),
        },
        connectors=["fake/c"],
    )
    assert find_problems(spec) == []


def test_a_cycle_is_spelled_out() -> None:
    """The message names each pipeline and connector of the circle, once, at the connector that closes it."""
    spec = make_spec(
        {
            "traces/start": (["fake"], [], ["fake/ab"]),
            "traces/a": (["fake/ab", "fake/ba"], [], ["fake/aa"]),
            "traces/b": (["fake/aa"], [], ["fake", "fake/ba"]),
        },
        connectors=["fake/ab", "fake/aa", "fake/ba"],
    )
    [finding] = find_problems(spec)
    assert finding.code == "pipeline-cycle"
    assert finding.message == (
        "the data would go round in a circle: pipeline traces/a → connector fake/aa → pipeline traces/b → "
        "connector fake/ba → pipeline traces/a"
    )
    assert finding.path == ("service", "pipelines", "traces/b", "exporters", 1)


def test_a_connector_into_its_own_pipeline_is_a_cycle() -> None:
    """The shortest circle there is."""
    spec = make_spec({"traces": (["fake", "fake/c"], [], ["fake/c"])}, connectors=["fake/c"])
    [finding] = find_problems(spec)
    assert finding.message.endswith("pipeline traces → connector fake/c → pipeline traces")


def test_two_knots_are_two_problems() -> None:
    """Every circle is reported, not only the first."""
    spec = make_spec(
        {"traces": (["fake", "fake/c"], [], ["fake/c"]), "logs": (["fake", "fake/d"], [], ["fake/d"])},
        connectors=["fake/c", "fake/d"],
    )
    assert codes(spec) == ["pipeline-cycle", "pipeline-cycle"]


@pytest.mark.parametrize(
    ("pipelines", "text"),
    [
        (
            {"traces": (["fake"], [], ["fake/c"])},
            "the connector is an exporter of traces, and a receiver of no pipeline",
        ),
        (
            {"traces": (["fake/c"], [], ["fake"])},
            "the connector is a receiver of traces, and an exporter of no pipeline",
        ),
    ],
)
def test_a_half_used_connector_is_an_error(pipelines, text: str) -> None:
    """Data would end in it, or never come out of it."""
    [finding] = find_problems(make_spec(pipelines, connectors=["fake/c"]))
    assert (finding.code, finding.path, finding.message) == ("half-used-connector", ("connectors", "fake/c"), text)


def test_a_connector_that_nobody_names_is_a_warning() -> None:
    """The Collector runs such a file, so it must run here."""
    [finding] = find_problems(make_spec({"traces": (["fake"], [], ["fake"])}, connectors=["fake/c"]))
    assert (finding.code, finding.severity) == ("unused-connector", Severity.WARNING)


def test_unsupported_pair_is_named_on_both_sides() -> None:
    """A connector that keeps the signal cannot lead from traces to logs."""
    spec = make_spec({"traces": (["fake"], [], ["fake/c"]), "logs": (["fake/c"], [], ["fake"])}, connectors=["fake/c"])
    first, second = find_problems(spec)
    assert first.code == second.code == "connector-pair"
    assert first.message == "connector fake/c cannot turn traces to logs"
    assert {first.path[2], second.path[2]} == {"traces", "logs"}


def test_signal_mismatch_names_the_signals_it_can_carry() -> None:
    """A component in a pipeline of a signal that it does not know is found by its place."""
    [finding] = find_problems(make_spec({"logs": (["fake"], [], ["fake", "traces_only/x"])}))
    assert finding.code == "signal-mismatch"
    assert finding.path == ("service", "pipelines", "logs", "exporters", 1)
    assert finding.message == "exporter traces_only/x cannot carry logs"
    assert finding.expected == "a pipeline of traces"


@pytest.mark.parametrize(
    ("named", "code"), [("traces/missing", "unknown-pipeline"), ("traces/in", "unconnected-pipeline")]
)
def test_options_that_name_pipelines_are_checked(named: str, code: str) -> None:
    """A routing rule into a pipeline that does not exist, or does not listen, is an error at the option."""
    spec = make_spec(
        {"traces/in": (["fake"], [], ["fake/c"]), "traces/out": (["fake/c"], [], ["fake"])},
        {"connector fake/c": {"pipelines": (named, "traces/out"), "uses": ("fake/ext",)}},
        connectors=["fake/c"],
    )
    [finding] = find_problems(spec)
    assert (finding.code, finding.path) == (code, ("connectors", "fake/c", "pipelines"))
    assert finding.expected == "traces/out"


def test_start_order_goes_against_the_data() -> None:
    """Whatever a component feeds starts before it, through connectors too, and receivers start last."""
    spec = make_spec(
        {
            "traces/in": (["fake/r"], ["fake/p1", "fake/p2"], ["fake/c", "fake/early"]),
            "traces/out": (["fake/c", "fake/r2"], ["fake/p3"], ["fake/late"]),
        },
        connectors=["fake/c"],
    )
    order = [str(unit) for unit in start_order(spec.pipelines.values())]
    chain = [
        "exporter fake/late",
        "processor fake/p3 of traces/out",
        "connector fake/c",
        "processor fake/p2 of traces/in",
        "processor fake/p1 of traces/in",
        "receiver fake/r",
    ]
    assert sorted(order.index(one) for one in chain) == [order.index(one) for one in chain]
    assert {unit.component.kind for unit in start_order(spec.pipelines.values())[-2:]} == {Kind.RECEIVER}
