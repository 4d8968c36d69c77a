"""Option tables, and the schema, of every installed component."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from jsonschema.exceptions import best_match

from tests.support.plugins import SendConfig, TagConfig
from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration, Size
from untrace_pipeline.config import document
from untrace_pipeline.config.document import options_table
from untrace_pipeline.config.schema import json_schema
from untrace_pipeline.registry import Registry

ROOT = Path(__file__).resolve().parents[3]
YAML = sorted([*(ROOT / "configs").glob("*.yaml"), *(Path(__file__).parent / "collector").glob("*.yaml")])


def rows(config: type[ComponentConfig]) -> dict[str, list[str]]:
    """Return the cells of a table by option."""
    lines = options_table(config).splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {cell[0].strip("`"): cell[1:] for cell in cells}


def test_table() -> None:
    """Each option has its path, type, default and meaning; nested ones follow theirs."""
    table = rows(SendConfig)
    assert table["endpoint"] == ["string", "required", "Where to send to, `host:port`."]
    assert table["timeout"] == ["duration", "`5s`", "Of one attempt."]
    assert table["compression"][:2] == ["`gzip`, `zstd`, `none`", "`gzip`"]
    assert table["headers"][:2] == ["map of string (secret)", "`{}`"]
    assert table["sending_queue"][:2] == ["mapping", "see below"]
    assert table["sending_queue.queue_size"] == ["integer", "`1000`", "Capacity."]
    assert table["auth.authenticator"][1] == "required"
    assert table["url"][2] == "**Deprecated**: use endpoint. The older name of endpoint."
    assert rows(TagConfig)["only"][0] == "list of `traces`, `logs`"


class Inner(ConfigModel):
    """Below."""

    size: Size = 1
    """Size."""
    wait: Duration | None = None
    """Wait."""


class Deep(ConfigModel):
    """Recursive."""

    deep: list[Deep]
    """Deeper."""


class Outer(ComponentConfig):
    """Above."""

    one: Inner = Inner(size=3 * 2**20)
    """One."""
    many: list[Inner] = []
    """Many | lots."""
    named: dict[str, Inner] = {}
    """By name."""
    other: dict[str, Deep] = {}
    """Other."""


def test_nested_defaults_and_lists() -> None:
    """A nested default is that of the option above; entries of lists and mappings show as ``[]`` and ``*``."""
    table = rows(Outer)
    assert table["one.size"][:2] == ["size", "`3MiB`"]
    assert table["one.wait"][:2] == ["duration", "-"]
    assert table["many"] == ["list of mapping", "`[]`", r"Many \| lots. Options as in `one`."]
    assert "many[].size" not in table
    assert table["named"][0] == "map of mapping"
    assert table["other.*.deep"][1] == "required"


def test_no_options() -> None:
    """A component without options says so."""
    assert options_table(ComponentConfig) == "No options."


def test_pages_are_rewritten_between_the_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``main`` writes what is out of date and leaves the rest of the page; ``--check`` only tells."""
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- options -->\nold\n<!-- /options -->\nafter\n")
    monkeypatch.setattr(document, "_readmes", lambda: [(page, "<!-- options -->", SendConfig)])
    monkeypatch.setattr(document, "_DOCS", tmp_path)
    named = tmp_path / "NAMED.md"
    mark = f"<!-- options: {SendConfig.__module__}:SendConfig -->"
    named.write_text(f"{mark}\n<!-- /options -->\n")
    monkeypatch.setattr(document, "import_module", lambda _name: sys.modules[__name__])
    assert document.main(["--check"]) == 1
    assert "old" in page.read_text()
    assert document.main([]) == 0
    table = options_table(SendConfig)
    assert page.read_text() == f"before\n<!-- options -->\n{table}\n<!-- /options -->\nafter\n"
    assert named.read_text() == f"{mark}\n{table}\n<!-- /options -->\n"
    assert document.main(["--check"]) == 0
    page.unlink()
    assert document.main([]) == 1


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    """Return the schema of everything installed."""
    schema = json_schema(Registry())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("path", YAML, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_schema_accepts_every_file_of_ours(path: Path, validator: jsonschema.Draft7Validator) -> None:
    """Editors find nothing wrong with the examples, nor with Collector configurations."""
    error = best_match(validator.iter_errors(yaml.safe_load(path.read_text())))
    assert error is None, f"{list(error.path)}: {error.message}"


def test_schema_accepts_every_form_of_conditions(validator: jsonschema.Draft7Validator) -> None:
    """Flat lists take strings and mappings directly, or groups of them."""
    mapping = {"field": "name", "operator": "eq", "value": "x"}
    group = {"context": "span", "conditions": ['name == "x"', mapping]}
    for conditions in (['span.name == "x"', mapping], [group]):
        validator.validate({"processors": {"filter": {"trace_conditions": conditions}}})
    assert not validator.is_valid({"processors": {"filter": {"trace_conditions": [{"conditoins": []}]}}})


def test_every_option_is_described(validator: jsonschema.Draft7Validator) -> None:
    """Every option of every installed component has a docstring."""
    definitions: dict[str, Any] = validator.schema["definitions"]
    silent = [
        f"{name}.{option}"
        for name, definition in definitions.items()
        for option, schema in definition.get("properties", {}).items()
        if not schema.get("description")
    ]
    assert silent == []
