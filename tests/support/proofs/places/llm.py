"""LLM platforms that run here."""

from __future__ import annotations

import ast
import json
import urllib.error
from typing import Any, Self

from tests.support.destinations.fields import READS
from tests.support.llm_calls import SpanView
from tests.support.peers import MlFlow, Phoenix
from tests.support.proofs.place import SpanPlace, Stored
from tests.support.proofs.places.served import ServedPlace, from_proto_json
from tests.support.proofs.traffic import AGENT_SESSION, Traffic
from tests.support.proofs.versions import pinned
from untrace_plugins.genai import names

__all__ = ["MlFlowPlace", "PhoenixPlace"]

PROJECT = "proof"


class PhoenixPlace(ServedPlace[Phoenix], SpanPlace):
    """Arize Phoenix, read by its REST API; it stores some fifty spans a second."""

    name: str = "phoenix"
    reads = READS["phoenix"]

    def __init__(self) -> None:
        super().__init__(Phoenix())

    @property
    def peer(self) -> str:
        return f"Phoenix {pinned('phoenix', 'arize-phoenix')}"

    def options(self, url: str) -> dict[str, Any]:
        return {"endpoint": url, "project": PROJECT}

    def read(self) -> list[Stored]:
        try:
            spans = self._pages("spans")
        except urllib.error.HTTPError as error:
            if error.code != 404:  # the project comes with its first span
                raise
            return []
        return [
            (span["context"]["span_id"], SpanView(span["name"], span["attributes"], span["status_code"] == "ERROR"))
            for span in spans
        ]

    def misread(self, traffic: Traffic) -> list[str]:
        """Phoenix sums up the tokens of a trace."""
        wanted = int(traffic.agent_total(names.USAGE_INPUT)), int(traffic.agent_total(names.USAGE_OUTPUT))
        traces = self._pages("traces")
        sums = [(trace["token_count_prompt"], trace["token_count_completion"]) for trace in traces]
        return [] if wanted in sums else [f"no trace has {wanted} tokens"]

    def _pages(self, what: str) -> list[Any]:
        found: list[Any] = []
        cursor = ""
        while True:
            page = self.server.ask(f"/v1/projects/{PROJECT}/{what}?limit=1000{cursor}")
            found += page["data"]
            if not page["next_cursor"]:
                return found
            cursor = f"&cursor={page['next_cursor']}"


class MlFlowPlace(ServedPlace[MlFlow], SpanPlace):
    """MLflow with a database, read by its REST API."""

    name: str = "mlflow"
    reads = READS["mlflow"]

    def __init__(self) -> None:
        super().__init__(MlFlow())
        self._experiment = ""

    @property
    def peer(self) -> str:
        return f"MLflow {pinned('mlflow', 'mlflow')}"

    def options(self, url: str) -> dict[str, Any]:
        return {"endpoint": url, "experiment_id": self._experiment}

    def read(self) -> list[Stored]:
        found: list[Stored] = []
        for trace in self.traces():
            page = self.server.ask(f"/api/3.0/mlflow/traces/get?trace_id={trace['trace_id']}")
            spans = [{"resource_spans": [{"scope_spans": [{"spans": page["trace"]["spans"]}]}]}]
            found += [(key, _decoded(span)) for key, span in from_proto_json(spans)]
        return found

    def misread(self, traffic: Traffic) -> list[str]:
        """MLflow sums up tokens and cost of a trace, and knows its session."""
        told = [trace.get("trace_metadata", {}) for trace in self.traces()]
        [agent] = [one for one in told if one.get("mlflow.trace.session") == AGENT_SESSION] or [{}]
        tokens, cost = (json.loads(agent.get(f"mlflow.trace.{name}", "{}")) for name in ("tokenUsage", "cost"))
        sums = tokens.get("input_tokens"), tokens.get("output_tokens"), round(cost.get("total_cost", 0), 12)
        attributes = (names.USAGE_INPUT, names.USAGE_OUTPUT, names.USAGE_COST)
        wanted = tuple(round(traffic.agent_total(name), 12) for name in attributes)
        return [] if sums == wanted else [f"MLflow says {sums} of a trace with {wanted}"]

    def traces(self) -> list[Any]:
        """Return what MLflow says of each trace."""
        found: list[Any] = []
        token = None
        location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": self._experiment}}
        while True:
            question = {"locations": [location], "max_results": 100, "page_token": token}
            page = self.server.ask("/api/3.0/mlflow/traces/search", question)
            found += page.get("traces", [])
            token = page.get("next_page_token")
            if not token:
                return found

    def __enter__(self) -> Self:
        super().__enter__()
        self._experiment = self.server.experiment(PROJECT)
        return self


def _decoded(span: SpanView) -> SpanView:
    """MLflow keeps attributes as JSON, and answers lists and objects as Python writes them."""
    return span._replace(attributes={name: _value(str(value)) for name, value in span.attributes.items()})


def _value(text: str) -> str | int | float:
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (SyntaxError, ValueError):
            continue
        return value if isinstance(value, str | int | float) else json.dumps(value)
    return text
