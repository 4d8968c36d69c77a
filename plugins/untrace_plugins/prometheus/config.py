"""Options that both exporters have."""

from __future__ import annotations

import enum

from untrace_pipeline.api import ConfigModel

__all__ = ["ResourceConversionConfig", "Translation"]


class Translation(enum.StrEnum):
    """How names become Prometheus'."""

    ESCAPED_WITH_SUFFIXES = "UnderscoreEscapingWithSuffixes"
    ESCAPED = "UnderscoreEscapingWithoutSuffixes"
    WITH_SUFFIXES = "NoUTF8EscapingWithSuffixes"
    NONE = "NoTranslation"

    @property
    def escapes(self) -> bool:
        """Whether what is no letter, digit or colon becomes an underscore."""
        return self in {Translation.ESCAPED_WITH_SUFFIXES, Translation.ESCAPED}

    @property
    def suffixes(self) -> bool:
        """Whether units, ``_total`` and ``_ratio`` are appended."""
        return self in {Translation.ESCAPED_WITH_SUFFIXES, Translation.WITH_SUFFIXES}


class ResourceConversionConfig(ConfigModel):
    """``resource_to_telemetry_conversion``: whether resource attributes become labels."""

    enabled: bool = False
    """Make labels of all resource attributes; otherwise they are on ``target_info``."""
    exclude_service_attributes: bool = False
    """Leave out ``service.name``, ``service.namespace`` and ``service.instance.id``, which are ``job`` and
    ``instance`` already."""
