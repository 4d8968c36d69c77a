"""Images, sound and files within messages: where their bytes are, or where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from untrace_plugins.genai.values import dump

__all__ = ["DATA_URL", "first", "format_of", "media"]

DATA_URL = "data:"


def media(modality: str, mime: object, source: object, file: object = None) -> dict[str, Any]:
    """Return a ``blob``, ``uri`` or ``file`` part of the source that a provider's block names."""
    if isinstance(source, dict):
        mime = first(source, "media_type", "mediaType", "mime_type", "mimeType") or mime or format_of(modality, source)
        file = source.get("file_id") or file
        source = first(source, "url", "data", "base64", "bytes", "uri", "source")
    if isinstance(source, dict):
        source = first(source, "bytes", "data", "uri", "s3Location")
    part: dict[str, Any] = {"type": "blob", "modality": modality}
    if isinstance(source, str) and source.startswith(DATA_URL):
        head, _, source = source.partition(",")
        mime = mime or head[len(DATA_URL) :].partition(";")[0]
    if isinstance(mime, str) and mime:
        part["mime_type"] = mime
    if isinstance(file, str):
        return part | {"type": "file", "file_id": file}
    if isinstance(source, str) and "://" in source[:16]:
        return part | {"type": "uri", "uri": source}
    return part | {"content": source if isinstance(source, str) else dump(source)}


def format_of(modality: str, source: Mapping[str, Any]) -> str | None:
    """Return the media type that Bedrock's format stands for: ``image/png``."""
    found = source.get("format")
    return f"{modality}/{found}" if isinstance(found, str) else None


def first(block: Mapping[str, Any], *keys: str) -> Any:
    """Return the value of the first of these keys that has one."""
    return next((block[key] for key in keys if block.get(key) is not None), None)
