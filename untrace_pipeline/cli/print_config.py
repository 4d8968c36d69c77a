"""``print-config``: the merged and expanded configuration."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import yaml

from untrace_pipeline.api.config import Secret
from untrace_pipeline.config.excerpt import mask_urls
from untrace_pipeline.config.loader import load

__all__ = ["execute"]


class _Dumper(yaml.SafeDumper):
    """Writes secrets as ``[REDACTED]``, and never abbreviates."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal values out each time."""
        return True


def _secret(dumper: yaml.SafeDumper, value: Secret) -> yaml.Node:
    return dumper.represent_str(str(value))


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_str(mask_urls(value))


_Dumper.add_representer(Secret, _secret)
_Dumper.add_representer(str, _text)


def execute(arguments: argparse.Namespace) -> int:
    """Print YAML on stdout and warnings on stderr."""
    loaded = load(arguments.config, arguments.set)
    for warning in loaded.warnings:
        print(warning, file=sys.stderr)
    print(yaml.dump(dict(loaded.spec.resolved), Dumper=_Dumper, sort_keys=False, allow_unicode=True), end="")
    return 0
