"""A function for the transform processor, see configs/transform.yaml: marks spans that used many tokens."""

from typing import Any

MANY = 1000


def annotate(span: dict[str, Any]) -> None:
    """Set ``app.size`` where tokens were counted."""
    tokens = span["attributes"].get("app.total_tokens")
    if tokens is not None:
        span["attributes"]["app.size"] = "large" if tokens > MANY else "small"
