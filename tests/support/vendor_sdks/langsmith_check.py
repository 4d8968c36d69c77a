"""LangSmith's SDK looks at runs: are they what it would have sent? Says the parts that it would have made of each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from langsmith._internal._operations import (
    serialize_run_dict,
    serialized_run_operation_to_multipart_parts_and_context,
)
from langsmith.run_trees import RunTree, _create_current_dotted_order, _parse_dotted_order
from langsmith.schemas import Run


def checked(run: dict[str, Any]) -> list[str]:
    """Return the names of the parts of one run; what the SDK's models do not take raises."""
    read = Run(**run)
    path = _parse_dotted_order(run["dotted_order"])
    assert path[0][1] == read.trace_id
    assert path[-1][1] == read.id
    assert read.parent_run_id == (path[-2][1] if len(path) > 1 else None)
    assert run["dotted_order"].split(".")[-1] == _create_current_dotted_order(read.start_time, read.id)
    below = RunTree.from_headers({"langsmith-trace": run["dotted_order"]})
    assert below is not None
    assert (below.id, below.trace_id) == (read.id, read.trace_id)
    operation = serialize_run_dict("post", dict(run))
    parts, _ = serialized_run_operation_to_multipart_parts_and_context(operation)
    return [name for name, _ in parts.parts]


runs = json.loads(Path(os.environ["RUNS"]).read_text())
print(json.dumps([checked(run) for run in runs]))
