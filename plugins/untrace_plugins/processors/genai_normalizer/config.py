"""Options of the genai_normalizer processor."""

from __future__ import annotations

import enum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration, Size
from untrace_plugins.genai.names import Form
from untrace_plugins.genai.sources import check_source

__all__ = ["GenaiNormalizerConfig", "JoinEvents", "Source", "SourceName"]


class SourceName(enum.StrEnum):
    """Dialects of instrumentations; ``custom`` has only the mappings that are written under it."""

    LANGFUSE = "langfuse"
    LANGSMITH = "langsmith"
    LITELLM = "litellm"
    MLFLOW = "mlflow"
    OPENINFERENCE = "openinference"
    OPENLIT = "openlit"
    OPENLLMETRY = "openllmetry"
    OTEL_GENAI = "otel_genai"
    PYDANTIC_AI = "pydantic_ai"
    UNTRACE = "untrace"
    VERCEL_AI = "vercel_ai"
    CUSTOM = "custom"


def _checked(mappings: dict[str, str]) -> dict[str, str]:
    for source, target in mappings.items():
        check_source(source)
        if not target or source == target:
            msg = f"{source!r} must be mapped to another attribute"
            raise ValueError(msg)
    return mappings


Mappings = Annotated[dict[str, str], AfterValidator(_checked)]


class Source(ConfigModel):
    """How one dialect is read."""

    remove_originals: bool = False
    """Remove this dialect's attributes once the canonical ones have their content."""
    overwrite: bool = False
    """Let this dialect replace canonical attributes that a span has already."""
    custom_mappings: Mappings = {}
    """Further attributes to map, as in ``mappings``; they come before what the dialect says."""


class JoinEvents(ConfigModel):
    """How content that comes as events reaches its span."""

    wait: Annotated[Duration, Field(ge=0, le=60)] = 0.0
    """How long a request of spans waits for log records with their content, if they have none. The sender waits too:
    stay below its timeout. ``0`` joins what came before the spans."""
    max_age: Annotated[Duration, Field(gt=0)] = 60.0
    """How long the content of an event is kept for its span."""
    max_bytes: Annotated[Size, Field(gt=0)] = 64 << 20
    """How much content is kept; beyond it the oldest goes, and is counted."""


class GenaiNormalizerConfig(ComponentConfig):
    """Rewrites LLM spans into OTel GenAI v1.41. Without options all dialects are read and nothing is removed."""

    sources: dict[SourceName, Source] = {}
    """The dialects to read, each with its options; without any, all of them."""
    remove_originals: bool = False
    """For all dialects: remove their attributes once the canonical ones have their content."""
    overwrite: bool = False
    """For all dialects: let them replace canonical attributes that a span has already."""
    mappings: Mappings = {}
    """Attributes of your own, to canonical ones: ``my.model: gen_ai.request.model``. A source that begins with ``$`` is
    a JSONPath into the attributes, and into JSON within them: ``$['my.request'].usage.total: my.total``."""
    emit: Form = Form.AS_IS
    """The form that LLM spans leave in, see docs/genai-forms.md: ``genai``, ``genai_legacy``, ``openinference``,
    ``openllmetry``, ``langfuse``, ``posthog`` or ``untrace``; ``as_is`` is the canonical form as it is. Components that
    know LLM calls read only that one: emit in the last processor before an exporter."""
    inherit: bool = True
    """Give LLM spans the session, user, conversation, tags and metadata of the nearest span above them, within the same
    request, where they have none of their own: applications attach them to the outermost span."""
    mark_duplicates: bool = True
    """Mark all but one of the spans that describe the same call with ``untrace.usage.duplicate``."""
    remembered_spans: Annotated[int, Field(ge=0, le=10_000_000)] = 100_000
    """How many spans are remembered to recognise calls across requests; about 500 bytes each."""
    join_events: JoinEvents | None = None
    """Give spans the content that comes as span events, or as log records of the same trace and span; for those, name
    this processor in a logs pipeline too. Events are passed on unchanged."""

    @model_validator(mode="after")
    def _custom_has_mappings(self) -> GenaiNormalizerConfig:
        custom = self.sources.get(SourceName.CUSTOM)
        if custom is not None and not custom.custom_mappings:
            msg = "sources.custom: custom_mappings must say what to map"
            raise ValueError(msg)
        return self
