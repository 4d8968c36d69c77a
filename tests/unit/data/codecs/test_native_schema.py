"""The tables of the native codec."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[4] / "native" / "wire" / "generate_schema.py"


def test_tables_are_those_of_opentelemetry_proto() -> None:
    """The generated file is what the installed descriptors say."""
    subprocess.run([sys.executable, SCRIPT, "--check"], check=True)
