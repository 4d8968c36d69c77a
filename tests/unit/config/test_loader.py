"""Loading: sources, merging, overrides, what values become, what is kept secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.plugins import SendConfig, make_registry
from untrace_pipeline.api import ComponentId, Kind, PipelineId, Secret
from untrace_pipeline.config.compose import parse
from untrace_pipeline.config.loader import Loaded, load
from untrace_pipeline.config.nodes import Map, Source, to_python
from untrace_pipeline.config.sources import merge
from untrace_pipeline.data import Signal
from untrace_pipeline.errors import ConfigError

BASE = """\
receivers:
  listen: {protocols: {grpc: }}
exporters:
  send:
    endpoint: localhost:4317
service:
  pipelines:
    traces: {receivers: [listen], exporters: [send]}
"""


def loaded(*configs: str, overrides: list[str] | None = None, **environ: str) -> Loaded:
    """Load texts, the first after BASE's."""
    return load([f"yaml:{text}" for text in (BASE, *configs)], overrides or [], make_registry(), environ=environ)


def sender(*configs: str, overrides: list[str] | None = None, **environ: str) -> SendConfig:
    """Return the exporter's configuration."""
    spec = loaded(*configs, overrides=overrides, **environ).spec
    config = spec.components[ComponentId(Kind.EXPORTER, "send")].config
    assert isinstance(config, SendConfig)
    return config


def option(text: str, **environ: str) -> SendConfig:
    """Return the exporter's configuration with more options."""
    return sender(f"exporters: {{send: {{{text}}}}}", **environ)


def codes(*configs: str, overrides: list[str] | None = None, **environ: str) -> list[str]:
    """Return the codes of the problems."""
    with pytest.raises(ConfigError) as caught:
        loaded(*configs, overrides=overrides, **environ)
    return [problem.code for problem in caught.value.problems]


def test_spec() -> None:
    """The specification has what the file says, in its order."""
    spec = loaded("service: {shutdown_timeout: 5s, telemetry: {logs: {level: DEBUG}}}").spec
    pipeline = spec.pipelines[PipelineId(Signal.TRACES)]
    assert [str(one) for one in pipeline.receivers] == ["listen"]
    assert [str(one) for one in pipeline.exporters] == ["send"]
    assert (spec.shutdown_timeout, spec.telemetry.logs.level) == (5.0, "debug")


def test_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path, ``file:``, ``env:`` and ``yaml:`` are read; files are remembered, those of references too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "retries.yaml").write_text("exporters: {send: {retries: 1, api_key: '${file:key.txt}'}}")
    (tmp_path / "key.txt").write_text("hunter2\n")
    environ = {"MORE": "exporters: {send: {retries: 2}}"}
    sources = ["file:base.yaml", "retries.yaml", "env:MORE", "yaml:exporters::send::tags: [a]"]
    found = load(sources, [], make_registry(), environ=environ)
    assert found.files == (Path("base.yaml"), Path("retries.yaml"), Path("key.txt"))
    config = found.spec.components[ComponentId(Kind.EXPORTER, "send")].config
    assert (config.retries, config.tags, config.api_key.reveal()) == (2, ["a"], "hunter2")


def test_later_sources_win() -> None:
    """Mappings merge, lists and single values are replaced, ``null`` takes a value back to its default."""
    config = sender(
        "exporters: {send: {tags: [a, b], labels: {x: '1', y: '1'}, retries: 5, sending_queue: {queue_size: 7}}}",
        "exporters: {send: {tags: [c], labels: {y: '2'}, retries: null, sending_queue: {enabled: false}}}",
    )
    assert config.tags == ["c"]
    assert config.labels == {"x": "1", "y": "2"}
    assert config.retries == 3
    assert (config.sending_queue.queue_size, config.sending_queue.enabled) == (7, False)


def test_overrides() -> None:
    """``--set`` wins, takes YAML, reaches new mappings, and may use ``::`` where ids have dots."""
    config = sender(
        "exporters: {send/a.b: {endpoint: x}}",
        overrides=["exporters.send.retries=7", "exporters.send.labels.z=1s", "exporters.send.tags=[p, q]"],
    )
    assert (config.retries, config.labels, config.tags) == (7, {"z": "1s"}, ["p", "q"])
    spec = loaded("exporters: {send/a.b: {endpoint: x}}", overrides=["exporters::send/a.b::retries=9"]).spec
    assert spec.components[ComponentId(Kind.EXPORTER, "send", "a.b")].config.retries == 9


def test_overridden_reference_needs_no_variable() -> None:
    """Only what is left after merging is expanded."""
    assert (
        sender("exporters: {send: {endpoint: '${env:NOPE}'}}", overrides=["exporters.send.endpoint=x"]).endpoint == "x"
    )


def test_references_take_the_type_of_the_option() -> None:
    """The same text becomes a number, a boolean or a string, as the option wants."""
    config = option(
        "retries: '${N}', labels: {a: '${N}', b: '${B}', c: '${Z}'}, api_key: '${N}'", N="007", B="true", Z=""
    )
    assert config.retries == 7
    assert config.labels == {"a": "007", "b": "true", "c": ""}
    assert config.api_key is not None
    assert config.api_key.reveal() == "007"
    assert option("sending_queue: '${Q}'", Q="{queue_size: 3}").sending_queue.queue_size == 3
    assert option("tags: '${T}'", T="[a, b]").tags == ["a", "b"]
    assert option("endpoint: '${E}'", E="{not: a mapping}").endpoint == "{not: a mapping}"


def test_any_option_gets_the_typed_value() -> None:
    """An option of any type gets what YAML makes of the text."""
    spec = loaded("processors: {tag: {value: '${N}'}}", N="5").spec
    assert spec.components[ComponentId(Kind.PROCESSOR, "tag")].config.value == 5


def test_empty_bodies() -> None:
    """``otlp:`` and ``grpc:`` with nothing after them mean: present, all defaults."""
    spec = loaded("processors: {tag: , tag/two: {}}\nextensions:\n").spec
    assert ComponentId(Kind.PROCESSOR, "tag") in spec.components
    receiver = spec.components[ComponentId(Kind.RECEIVER, "listen")].config
    assert receiver.protocols.grpc.endpoint == "localhost:4317"
    assert receiver.protocols.http is None


def test_unused_components_are_allowed_and_checked() -> None:
    """A component that no pipeline names is fine, unless it is wrong."""
    assert len(loaded("exporters: {send/spare: {endpoint: x}}").spec.components) == 3
    assert codes("exporters: {send/spare: {endpont: x}}") == ["missing-option", "unknown-option"]


def test_all_problems_at_once() -> None:
    """Problems of every kind come together, by place."""
    found = codes(
        "exporters: {send: {retries: 99, nope: 1, api_key: '${NOPE}'}, odd: }",
        "processors: {tag: {only: [metrics]}}\nextra: 1",
        overrides=["service.pipelines.traces.processors=[tag, tag]"],
    )
    assert found == [
        "bad-value",
        "unknown-option",
        "unset-variable",
        "unknown-type",
        "bad-value",
        "unknown-section",
        "duplicate-component",
    ]


def test_secrets_never_leave(capsys: pytest.CaptureFixture[str]) -> None:
    """Secrets, wherever they come from, are in no message, no representation and no dump; the component has them."""
    result = loaded(
        "exporters: {send: {headers: {authorization: hunter2, x-team: '${H}'}, api_key: hunter2}}",
        "extensions: {token: {token: '${H}'}}",
        H="hunter2",
    )
    spec = result.spec
    shown = [repr(result), str(spec.resolved), *(str(one.config.model_dump()) for one in spec.components.values())]
    assert not [text for text in shown if "hunter2" in text]
    assert spec.resolved["extensions"]["token"]["token"] == Secret("hunter2")
    assert sender("exporters: {send: {api_key: hunter2}}").api_key == Secret("hunter2")


@pytest.mark.parametrize(
    "wrong",
    [
        "api_key: [hunter2]",
        "api_key: {a: hunter2}",
        "headers: [hunter2]",
        "headers: hunter2",
        "headers: {a: {b: hunter2}}",
        "headers: {a: [hunter2]}",
        "compression: '${H}'",
        "retries: '${H}'",
        "timeout: '${H}'",
        "timeout: 'x${H}'",
        "sending_queue: '${H}'",
        "password: hunter2",
        "client_secret: hunter2, nope: 1",
        "auth: {authenticator: '${H}'}",
        "endpoint: 'https://a:hunter2@b', retries: 99",
        "tags: ['Bearer hunter2'], retries: 99",
        "sending_queue: {token: hunter2, queue_size: x}",
    ],
)
def test_wrong_secrets_stay_secret(wrong: str) -> None:
    """A secret in the wrong place, of the wrong type, or from a variable is not shown either."""
    with pytest.raises(ConfigError) as caught:
        option(wrong, H="hunter2")
    assert "hunter2" not in str(caught.value)


def test_own_checks_cannot_leak() -> None:
    """A secret that a component's own check puts into its message is masked."""
    with pytest.raises(ConfigError) as caught:
        option("timeout: '${H}'", H="hunter2")
    assert "hunter2" not in str(caught.value)


def test_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an explicit one, references read the process's environment."""
    monkeypatch.setenv("UNTRACE_TEST_RETRIES", "8")
    found = load([f"yaml:{BASE}"], ["exporters.send.retries=${UNTRACE_TEST_RETRIES}"], make_registry())
    assert found.spec.components[ComponentId(Kind.EXPORTER, "send")].config.retries == 8


def test_same_text_loads_equal() -> None:
    """Two loads of the same text are equal, so that a reload sees what has changed."""
    assert loaded().spec.components == loaded().spec.components
    assert loaded().spec.resolved == loaded().spec.resolved


SMALL = st.recursive(
    st.one_of(st.none(), st.integers(0, 9), st.lists(st.integers(0, 9), max_size=2)),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
MAPS = st.dictionaries(st.sampled_from("abc"), SMALL, max_size=3)


def tree(document: Any) -> Map:
    """Return a document as a tree."""
    node = parse(Source("test", yaml.safe_dump(document)))
    assert isinstance(node, Map)
    return node


def expected_merge(base: Any, over: Any) -> Any:
    """Say in three lines what merging means."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {**base, **{key: expected_merge(base[key], value) if key in base else value for key, value in over.items()}}


@given(MAPS, MAPS, MAPS)
def test_merging(a: Any, b: Any, c: Any) -> None:
    """Merging is what it says, has an identity, and changes nothing it is given."""
    one, two, three = tree(a), tree(b), tree(c)
    assert to_python(merge(one, two)) == expected_merge(a, b)
    assert to_python(merge(one, tree({}))) == to_python(merge(tree({}), one)) == a
    assert to_python(merge(merge(one, two), three)) == expected_merge(expected_merge(a, b), c)
    assert (to_python(one), to_python(two)) == (a, b)


def test_what_is_not_set_is_told_once() -> None:
    """The check of the port as a whole has nothing to add about an endpoint whose variable is not set."""
    text = BASE.replace("listen", "otlp").replace("send", "otlp_grpc")
    with pytest.raises(ConfigError) as refused:
        load([f"yaml:{text}"], ["receivers.otlp.protocols.grpc.endpoint=${env:MY_POD_IP}:4317"], environ={})
    assert [problem.code for problem in refused.value.problems] == ["unset-variable"]


def test_keys_of_a_closed_set_are_options() -> None:
    """What is written instead of one of them is told as every other wrong option."""
    text = BASE.replace("listen", "otlp").replace("send", "otlp_grpc")
    with pytest.raises(ConfigError) as refused:
        load([f"yaml:{text}", "yaml:processors: {genai_normalizer: {sources: {openinferrence: {}}}}"], environ={})
    (problem,) = (one for one in refused.value.problems if one.code == "unknown-option")
    assert "sources.openinferrence: unknown option" in str(problem)
    assert "did you mean: openinference?" in str(problem)
