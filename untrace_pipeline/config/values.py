"""From a node to a checked configuration object, by the types of its options."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from untrace_pipeline.config.diagnostics import Finding, Path, Severity
from untrace_pipeline.config.explain import explain, path_of
from untrace_pipeline.config.nodes import List, Map, Node, Scalar, find
from untrace_pipeline.config.options import Seen, arms, deprecation, element, model_of, options_of, visit

__all__ = ["check_options"]

M = TypeVar("M", bound=BaseModel)


def check_options(model: type[M], node: Map) -> tuple[M | None, list[Finding], list[Seen]]:
    """Return the configuration object, or ``None`` and what is wrong; paths are relative to ``node``.

    Deprecated options are findings too, as warnings. The third value tells the types of everything below ``node``.
    """
    seen = list(visit(model, node))
    by_path = {one.path: one for one in seen}
    findings = [warning for one in seen if (warning := _deprecated(one)) is not None]
    as_text: set[Path] = set()
    while True:
        try:
            return model.model_validate(_value(model, node, (), as_text)), findings, seen
        except ValidationError as error:
            refused = _refused_references(error, node) - as_text
            if not refused:
                return None, findings + explain(error, node, by_path), seen
            as_text |= refused
        except Exception as error:  # noqa: BLE001  a plugin's own check
            message = f"the component's own check failed: {type(error).__name__}"
            return None, [*findings, Finding("bad-value", (), message)], seen


def _value(annotation: Any, node: Node, path: Path, as_text: set[Path]) -> Any:
    """Return the plain value of a node. An empty option that has options means all defaults; others count as unset."""
    found = arms(annotation)
    model = model_of(found)
    if path in as_text and node.text is not None:
        return node.text
    if isinstance(node, Scalar):
        return {} if node.value is None and model else node.value
    if isinstance(node, List):
        items = next((item for one in found if (item := element(one, list)) is not None), Any)
        return [_value(items, item, (*path, i), as_text) for i, item in enumerate(node.items)]
    options = options_of(model) if model else {}
    values = next((value for one in found if (value := element(one, dict)) is not None), Any)
    result = {}
    for name, (_, value) in node.entries.items():
        below = options[name].annotation if name in options else Any if model else values
        if not (name in options and _is_unset(below, value) and (*path, name) not in as_text):
            result[name] = _value(below, value, (*path, name), as_text)
    return result


def _is_unset(annotation: Any, node: Node) -> bool:
    found = arms(annotation)
    empty = isinstance(node, Scalar) and node.value is None and node.written is None
    return empty and model_of(found) is None and type(None) not in found and Any not in found


def _refused_references(error: ValidationError, node: Map) -> set[Path]:
    """Return paths of values that came out of a reference, were typed, and were refused: their text may do."""
    refused = set()
    for details in error.errors(include_url=False, include_context=False, include_input=False):
        path = path_of(details["loc"], node)
        _, value, taken = find(node, path)
        typed = not isinstance(value, Scalar) or not isinstance(value.value, str)
        if taken == len(path) and value.written is not None and value.text is not None and typed:
            refused.add(path)
    return refused


def _deprecated(one: Seen) -> Finding | None:
    successor = deprecation(one.option) if one.option is not None else None
    if successor is None:
        return None
    message = f"deprecated; {successor}" if successor else "deprecated"
    return Finding("deprecated-option", one.path, message, severity=Severity.WARNING)
