"""Every code that a problem of a configuration can have; each has a golden file in tests/golden/config."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ABOUT_THE_NAME", "CODES"]

CODES: Mapping[str, str] = {
    # reading
    "unreadable-source": "a file or text named by --config cannot be read",
    "not-utf8": "a file is no UTF-8 text",
    "empty-config": "nothing is configured at all",
    "yaml-syntax": "the text is no YAML",
    "yaml-limit": "nested too deep, or too large once aliases are followed",
    "duplicate-key": "the same key twice in one mapping",
    "bad-key": "a list or mapping as a key",
    "bad-override": "--set without key and value, or through something that is no mapping",
    # references
    "unset-variable": "an environment variable without default is not set",
    "bad-reference": "a ${…} that means nothing",
    "unreadable-reference": "the file of ${file:…}, or the text of a variable, cannot be read",
    # components
    "unknown-section": "a top-level key that does not exist",
    "bad-id": "no type or type/name",
    "unknown-type": "no installed component has this type",
    "broken-plugin": "the component is installed and cannot be loaded",
    "other-spelling": "an alias, where the Collector deprecated it in favour of our name",
    "ambiguous-id": "a connector with the id of a receiver or an exporter",
    # options
    "unknown-option": "the component has no such option",
    "missing-option": "an option without default is not set",
    "wrong-type": "a list where a number belongs, and so on",
    "bad-value": "the right type, out of bounds or otherwise refused",
    "deprecated-option": "the option works and has a successor",
    "doubtful-option": "an option that works and is probably not meant: a rule that can never match",
    # service
    "bad-pipeline-id": "a pipeline must be traces, metrics or logs, with a name or without",
    "no-pipelines": "the service has none",
    "no-receivers": "a pipeline without",
    "no-exporters": "a pipeline without",
    "unknown-component": "a pipeline names something that is not configured",
    "wrong-section": "a pipeline names a component of another kind",
    "duplicate-component": "the same component twice in one list",
    "unknown-extension": "an extension is used and not configured",
    "extension-not-enabled": "an extension is used and not listed in service.extensions",
    # several workers
    "not-per-worker": "an option that several workers cannot have in common, without the worker's number in it",
    "service-extension": "a component names an extension that runs once for all workers, outside of them",
}

ABOUT_THE_NAME = frozenset(
    {
        "ambiguous-id",
        "bad-id",
        "bad-pipeline-id",
        "broken-plugin",
        "deprecated-option",
        "no-exporters",
        "no-receivers",
        "other-spelling",
        "unknown-option",
        "unknown-section",
        "unknown-type",
    }
)
"""Problems of a key, not of its value: the caret goes under the key."""
