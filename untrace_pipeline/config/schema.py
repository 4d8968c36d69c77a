"""One JSON Schema (draft-07) of a whole configuration file, for editors, the UI and tests."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from inspect import cleandoc
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, PydanticJsonSchemaWarning, models_json_schema

from untrace_pipeline.api.factory import Factory
from untrace_pipeline.api.identity import Kind
from untrace_pipeline.config.model import ServiceSection
from untrace_pipeline.config.test_blocks import ConfigTest
from untrace_pipeline.errors import PluginError
from untrace_pipeline.registry import Registry

__all__ = ["json_schema"]

_DIALECT = "http://json-schema.org/draft-07/schema#"
_REFERENCE = {"type": "string", "pattern": r"\$\{.+\}", "description": "A reference: ${env:NAME}, ${file:/path}."}
_DURATION = r"^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$|\$\{.+\}"
_NEWER = {"$defs": "definitions", "prefixItems": "items"}
"""Keywords of the dialect that pydantic writes, and their names in draft-07."""


def json_schema(registry: Registry) -> dict[str, Any]:
    """Return the schema of a file made of all installed components. Components that cannot be loaded are left out."""
    factories = {kind: _factories(registry, kind) for kind in Kind}
    models: list[type[BaseModel]] = [ServiceSection, ConfigTest]
    models += [factory.config for found in factories.values() for factory in found.values()]
    schemas, definitions = _models(models)
    sections = {
        kind.value: _section(kind, {name: (one, schemas[one.config]) for name, one in found.items()})
        for kind, found in factories.items()
    }
    return {
        "$schema": _DIALECT,
        "title": "Configuration of untrace-pipeline",
        "type": "object",
        "properties": {
            **sections,
            "service": _nullable(schemas[ServiceSection]),
            "tests": {"type": "array", "items": schemas[ConfigTest], "description": "Run by untrace-pipeline test."},
        },
        "additionalProperties": False,
        "definitions": {**definitions, "reference": _REFERENCE},
    }


def _factories(registry: Registry, kind: Kind) -> dict[str, Factory[Any]]:
    found = {}
    for name in registry.names(kind):
        try:
            found[name] = registry.load(kind, name)
        except PluginError:
            continue  # `components` shows what is wrong with it
    return found


def _models(models: Sequence[type[BaseModel]]) -> tuple[dict[type[BaseModel], Any], dict[str, Any]]:
    mode: JsonSchemaMode = "validation"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PydanticJsonSchemaWarning)  # defaults that have no JSON form are left out
        found, whole = models_json_schema(
            [(model, mode) for model in dict.fromkeys(models)], ref_template="#/definitions/{model}"
        )
    by_model = {model: _draft_07(found[model, mode]) for model in models}
    return by_model, {name: _draft_07(schema) for name, schema in whole.get("$defs", {}).items()}


def _section(kind: Kind, types: Mapping[str, tuple[Factory[Any], Any]]) -> dict[str, Any]:
    patterns = {}
    for name, (factory, schema) in types.items():
        description = factory.description
        if name != factory.type_name:
            description += f" Another spelling of {factory.type_name}."
        patterns[f"^{name}(/.+)?$"] = {**_nullable(schema), "description": description}
    section = {
        "type": "object",
        "description": f"Configured {kind.value}, by id: type or type/name.",
        "patternProperties": patterns,
        "additionalProperties": False,
    }
    return _nullable(section)


def _nullable(schema: Any) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _draft_07(schema: Any) -> Any:
    """Return a schema in the older dialect, which also takes references where numbers and booleans belong."""
    if isinstance(schema, list):
        return [_draft_07(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key in {"properties", "patternProperties", "$defs"} and isinstance(value, dict):
            found[str(_NEWER.get(key, key))] = {name: _option(one) for name, one in value.items()}
        elif key in {"default", "const", "enum", "examples"}:
            found[key] = value
        elif key == "description" and isinstance(value, str):
            found[key] = cleandoc(value).replace("``", "`")
        else:
            found[str(_NEWER.get(key, key))] = _draft_07(value)
    if found.get("format") == "duration":
        found = {**found, "type": ["string", "number"], "pattern": _DURATION, "maximum": 0, "minimum": 0}
        found.pop("format")  # another one elsewhere: ISO 8601
    successor = found.get("deprecated")
    if isinstance(successor, str):
        found |= {"deprecated": True, "description": f"Deprecated: {successor}. {found.get('description', '')}".strip()}
    return _beside_reference(found)


def _option(schema: Any) -> Any:
    """Return the schema of an option: a reference may stand for any value; ``null`` means unset."""
    found = _draft_07(schema)
    if not isinstance(found, dict) or (found.get("type") == "string" and not {"enum", "pattern"} & found.keys()):
        return found
    outside = {key: found.pop(key) for key in ("title", "description", "default", "deprecated") if key in found}
    alternatives = found.pop("anyOf", None) or [found]
    kinds = [one.get("type") for one in alternatives if isinstance(one, dict)]
    if found and alternatives != [found]:
        alternatives = [{**found, "anyOf": alternatives}]
    if "string" not in kinds:
        alternatives = [*alternatives, {"$ref": "#/definitions/reference"}]
    if "null" not in kinds:
        alternatives = [*alternatives, {"type": "null"}]
    return {**outside, "anyOf": alternatives}


def _beside_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """Draft-07 ignores everything beside ``$ref``: put it one level deeper."""
    if "$ref" not in schema or len(schema) == 1:
        return schema
    reference = schema.pop("$ref")
    return {**schema, "allOf": [{"$ref": reference}]}
