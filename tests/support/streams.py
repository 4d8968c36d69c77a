"""Server-sent events as bytes."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["typed_events"]


def typed_events(*events: dict[str, Any]) -> list[bytes]:
    """Return events whose type is in their data, as those of Anthropic, Cohere and the Responses API."""
    return [f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode() for event in events]
