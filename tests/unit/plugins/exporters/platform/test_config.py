"""Options of platforms, as their files say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_pipeline.api import Kind
from untrace_pipeline.config.loader import load
from untrace_pipeline.data import Signal
from untrace_pipeline.errors import ConfigError
from untrace_pipeline.registry import Registry
from untrace_plugins.destinations.reading import read_destination
from untrace_plugins.exporters.platform.config import PlatformConfig

REGISTRY = Registry()


def config(name: str, **options: Any) -> PlatformConfig:
    found = REGISTRY.load(Kind.EXPORTER, name).config.model_validate(options)
    assert isinstance(found, PlatformConfig)
    return found


def headers(found: PlatformConfig) -> dict[str, str]:
    return {name: value.reveal() for name, value in found.for_client().headers.items()}


@pytest.mark.parametrize(
    ("name", "options", "url"),
    [
        ("langfuse", {"public_key": "p", "secret_key": "s"}, "https://cloud.langfuse.com/api/public/otel/v1/traces"),
        (
            "langfuse",
            {"public_key": "p", "secret_key": "s", "region": "us"},
            "https://us.cloud.langfuse.com/api/public/otel/v1/traces",
        ),
        (
            "langfuse",
            {"public_key": "p", "secret_key": "s", "endpoint": "http://lf:3000/"},
            "http://lf:3000/api/public/otel/v1/traces",
        ),
        (
            "langfuse",
            {"public_key": "p", "secret_key": "s", "traces_endpoint": "http://other/here"},
            "http://other/here",
        ),
        ("phoenix", {}, "http://localhost:6006/v1/traces"),
        ("posthog", {"project_key": "k", "region": "eu"}, "https://eu.i.posthog.com/i/v0/ai/otel"),
        ("weave", {"api_key": "k", "entity": "e", "project": "p"}, "https://trace.wandb.ai/otel/v1/traces"),
        (
            "grafana_cloud",
            {"instance_id": "1", "token": "t", "zone": "prod-eu-west-2"},
            "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp/v1/traces",
        ),
        ("datadog", {"api_key": "k", "region": "datadoghq.eu"}, "https://otlp.datadoghq.eu/v1/traces"),
    ],
)
def test_addresses(name: str, options: dict[str, Any], url: str) -> None:
    """By region, by an endpoint of one's own, or as the user writes the whole."""
    assert config(name, **options).url(Signal.TRACES) == url


def test_a_signal_that_is_not_taken_has_no_address() -> None:
    """So that a pipeline that sends it there is refused when it is checked."""
    assert config("phoenix").url(Signal.LOGS) is None


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("phoenix", {}, {}),
        ("phoenix", {"api_key": "k"}, {"authorization": "Bearer k"}),
        ("langwatch", {"api_key": "k"}, {"Authorization": "Bearer k", "X-Auth-Token": "k"}),
        (
            "langwatch",
            {"personal_token": "pat", "project_id": "p"},
            {"Authorization": "Basic cDpwYXQ=", "X-Project-Id": "p"},
        ),
        (
            "braintrust",
            {"api_key": "k", "project_id": "i"},
            {"Authorization": "Bearer k", "x-bt-parent": "project_id:i"},
        ),
        ("opik", {"api_key": "k", "headers": {"authorization": "mine"}}, {"authorization": "mine"}),
        ("jaeger", {"headers": {"x-own": "1"}}, {"x-own": "1"}),
    ],
)
def test_headers(name: str, options: dict[str, Any], expected: dict[str, str]) -> None:
    """The first alternative whose options are set; none without them; the user's own win."""
    assert headers(config(name, **options)) == expected


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("langfuse", {"public_key": "p"}, "secret_key"),
        ("langfuse", {"public_key": "p", "secret_key": ""}, "secret_key"),
        ("langfuse", {"public_key": "p", "secret_key": "s", "region": "mars"}, "region"),
        ("langfuse", {"public_key": "p", "secret_key": "s", "compression": "zstd"}, "Langfuse takes gzip, none"),
        ("lunary", {"api_key": "k", "encoding": "json"}, "encoding"),
        ("braintrust", {"api_key": "k"}, "one of project, project_id, experiment_id"),
        ("braintrust", {"api_key": "k", "project": "a", "project_id": "b"}, "only one of project"),
        ("grafana_cloud", {"instance_id": "1", "token": "t"}, "zone"),
        ("langfuse", {"public_key": "p", "secret_key": "s", "long_values": {"policy": "move_out"}}, "a directory"),
        ("langfuse", {"public_key": "p", "secret_key": "s", "long_values": {"directory": "/x"}}, "move_out"),
    ],
)
def test_what_cannot_work_is_refused(name: str, options: dict[str, Any], problem: str) -> None:
    """With the name of what is missing or wrong, and no secret."""
    with pytest.raises(ValidationError) as raised:
        config(name, **options)
    assert problem in str(raised.value)


def test_what_only_the_address_needs_is_not_asked_for_beside_one() -> None:
    """A gateway of one's own has no zone."""
    found = config("grafana_cloud", instance_id="1", token="t", endpoint="http://gateway/otlp")
    assert found.url(Signal.LOGS) == "http://gateway/otlp/v1/logs"


def test_mistakes_are_told_with_their_place() -> None:
    """As for every other component."""
    text = """
receivers: {otlp: {protocols: {http: }}}
exporters: {langfuse: {public_key: p, secrt_key: s}}
service: {pipelines: {traces: {receivers: [otlp], exporters: [langfuse]}}}
"""
    with pytest.raises(ConfigError) as raised:
        load([f"yaml:{text}"])
    assert "exporters.langfuse.secrt_key" in str(raised.value)
    assert "did you mean: secret_key?" in str(raised.value)


def test_a_signal_that_a_platform_does_not_take_is_a_problem_of_the_configuration() -> None:
    """Before anything is started."""
    text = """
receivers: {otlp: {protocols: {http: }}}
exporters: {phoenix: }
service: {pipelines: {logs: {receivers: [otlp], exporters: [phoenix]}}}
"""
    with pytest.raises(ConfigError, match="phoenix"):
        load([f"yaml:{text}"])


def test_secrets_are_masked_wherever_options_are_shown() -> None:
    """Also those that the file of a platform declares."""
    found = config("langfuse", public_key="p", secret_key="very-secret")
    assert "very-secret" not in repr(found)
    assert "very-secret" not in found.model_dump_json()
    assert found.secrets() == ("very-secret",)


@pytest.mark.parametrize(
    ("options", "budget"),
    [
        ({}, 1000),
        ({"endpoint": "http://own"}, None),
        ({"requests_per_minute": 0}, None),
        ({"requests_per_minute": 5}, 5),
    ],
)
def test_the_budget_of_requests(options: dict[str, Any], budget: int | None) -> None:
    """The platform's, unless the user says otherwise or has an installation of his own."""
    assert config("langfuse", public_key="p", secret_key="s", **options).budget() == budget


def test_the_platforms_own_address_can_be_checked() -> None:
    """``validate --environment`` finds no option that names it."""
    assert list(config("phoenix").addresses()) == ["http://localhost:6006/v1/traces"]
    assert list(config("phoenix", endpoint="http://mine:1").addresses()) == []


@pytest.mark.parametrize("name", ["helicone", "langsmith_runs", "datadog_llm_observability"])
def test_apis_of_their_own_are_written_from_the_canonical_form(name: str) -> None:
    """Another form would leave an encoder nothing to read; ``as_is`` says that a processor writes it."""
    assert config(name, api_key="k").form == "genai"
    assert config(name, api_key="k", form="as_is").form == "as_is"
    with pytest.raises(ValidationError, match="form: genai, which requests are written from"):
        config(name, api_key="k", form="openinference")
    with pytest.raises(ValidationError, match="encoding"):
        config(name, api_key="k", encoding="proto")


def test_a_queue_before_what_takes_one_item_per_request() -> None:
    """Each consumer takes few, also where only their number is set."""
    given = config("helicone", api_key="k", sending_queue={"num_consumers": 3}).sending_queue
    assert given.batch is not None
    assert (given.num_consumers, given.batch.max_size) == (3, 16)


FILE = """\
name: acme
title: Acme
category: LLM platforms
description: sends to Acme
docs: https://acme.example
base: https://acme.example
urls: {{{urls}}}
form: {form}
encodings: [{encodings}]
"""
TRACES, LOGS = 'traces: "{base}/t"', 'logs: "{base}/l"'


@pytest.mark.parametrize(
    ("urls", "form", "encodings", "wrong"),
    [
        (TRACES, "langfuse", "helicone", "form: genai and urls of traces alone"),
        (f"{TRACES}, {LOGS}", "genai", "langsmith_runs", "form: genai and urls of traces alone"),
        (TRACES, "genai", "proto, helicone", "encodings that are all OTLP, or none"),
    ],
)
def test_files_that_mix_otlp_and_an_api(urls: str, form: str, encodings: str, wrong: str) -> None:
    """What is wrong is said where the file is read."""
    with pytest.raises(ValueError, match=wrong):
        read_destination(FILE.format(urls=urls, form=form, encodings=encodings))
    assert read_destination(FILE.format(urls=TRACES, form="genai", encodings="helicone")).encodings == ["helicone"]


def test_the_word_of_datadog_leads_to_the_option() -> None:
    """Datadog says ``site`` where the platforms here have ``region``."""
    text = (
        "yaml:{receivers: {otlp: {protocols: {http: }}}, exporters: {datadog: {api_key: k, site: datadoghq.eu}}, "
        "service: {pipelines: {traces: {receivers: [otlp], exporters: [datadog]}}}}"
    )
    with pytest.raises(ConfigError) as raised:
        load([text])
    (problem,) = raised.value.problems
    assert (problem.path, problem.suggestion) == ("exporters.datadog.site", "region")
