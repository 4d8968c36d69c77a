"""``schema``: one JSON Schema of everything that is installed."""

from __future__ import annotations

import argparse
import json

from untrace_pipeline.config.schema import json_schema
from untrace_pipeline.registry import Registry

__all__ = ["execute"]


def execute(_arguments: argparse.Namespace) -> int:
    """Print the schema."""
    print(json.dumps(json_schema(Registry()), indent=2, ensure_ascii=False))
    return 0
