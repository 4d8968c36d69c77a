"""Options of the ``otlp_json_file`` receiver."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from untrace_pipeline.api import ComponentConfig, Duration, Size

__all__ = ["OtlpJsonFileConfig", "StartAt"]


class StartAt(StrEnum):
    """Where reading begins in files that are there at start."""

    BEGINNING = "beginning"
    END = "end"


class OtlpJsonFileConfig(ComponentConfig):
    """Which files to read, and how."""

    include: list[str] = Field(min_length=1)
    """Patterns of paths, with ``*``, ``?``, ``[…]`` and ``**``. Example: ``["/var/log/otel/*.jsonl"]``."""
    exclude: list[str] = []
    """Patterns of paths to leave out."""
    start_at: StartAt = StartAt.END
    """``end``: of files that are there at start, only what is added later; ``beginning``: everything. Files that appear
    later are always read from their beginning."""
    poll_interval: Duration = Field(0.2, gt=0)
    """How often files are looked at."""
    replay_file: bool = False
    """Begin each file again when its end is reached, for ever: for load tests."""
    include_file_name: bool = True
    """Add the name of the file as ``log.file.name`` to each span and log record, and to the metadata of each metric."""
    include_file_path: bool = False
    """Add its path as ``log.file.path`` in the same places."""
    max_log_size: Size = Field(64 * 1024 * 1024, ge=1024)
    """Longest line; a longer one is skipped and counted. Differs from the Collector, whose 1 MiB is less than many a
    request of LLM spans."""
