"""What each platform reads: OTLP, or requests of an API of its own, written from the canonical form of LLM spans."""

from __future__ import annotations

from untrace_plugins.destinations.model import OTLP, Encoding
from untrace_plugins.exporters.platform.config import PlatformConfig
from untrace_plugins.exporters.platform.encoders.datadog import DatadogEvents
from untrace_plugins.exporters.platform.encoders.encoder import Body, Encoder
from untrace_plugins.exporters.platform.encoders.helicone import HeliconeLog
from untrace_plugins.exporters.platform.encoders.langsmith import LangSmithRuns
from untrace_plugins.exporters.platform.encoders.otlp import Otlp

__all__ = ["Body", "Encoder", "make_encoder"]


def make_encoder(config: PlatformConfig) -> Encoder:
    """Return the encoder of the encoding that the options say."""
    encoding = config.writes
    if encoding in OTLP:
        return Otlp(encoding)
    match encoding:
        case Encoding.HELICONE:
            return HeliconeLog()
        case Encoding.LANGSMITH_RUNS:
            return LangSmithRuns(config.values().get("project", ""))
        case _:
            return DatadogEvents(config.values().get("ml_app", ""))
