"""Which form a scraper wants, by its ``Accept`` header (prometheus.io "Content negotiation")."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Escaping", "Form", "Wish", "negotiate"]


class Form(enum.Enum):
    """Forms of a page, with the content type of each."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


class Escaping(enum.StrEnum):
    """What becomes of names that older Prometheis do not know."""

    UNDERSCORES = "underscores"
    ALLOW = "allow-utf-8"
    DOTS = "dots"
    VALUES = "values"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is answered."""

    form: Form
    escaping: Escaping

    @property
    def content_type(self) -> str:
        """The header of the answer."""
        return f"{self.form.value}; escaping={self.escaping}"


def negotiate(accept: str, *, openmetrics: bool) -> Wish:
    """Return the best form that we have; text where nothing fits."""
    for media_type, parameters in sorted(map(_parse, accept.split(",")), key=_preference):
        form = _form(media_type, parameters, openmetrics=openmetrics)
        if form is not None:
            return Wish(form, _escaping(parameters))
    return Wish(Form.TEXT, Escaping.UNDERSCORES)


def _parse(part: str) -> tuple[str, dict[str, str]]:
    media_type, *parameters = (one.strip() for one in part.split(";"))
    pairs = (one.partition("=") for one in parameters)
    return media_type.lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _preference(term: tuple[str, dict[str, str]]) -> float:
    try:
        return -float(term[1].get("q", "1"))
    except ValueError:
        return 0.0


def _form(media_type: str, parameters: dict[str, str], *, openmetrics: bool) -> Form | None:
    if media_type == "application/vnd.google.protobuf":
        fits = parameters.get("proto") == "io.prometheus.client.MetricFamily"
        return Form.PROTOBUF if fits and parameters.get("encoding") == "delimited" else None
    if media_type == "application/openmetrics-text" and openmetrics:
        return Form.OPENMETRICS if parameters.get("version") in {None, "0.0.1", "1.0.0"} else None
    if media_type == "text/plain":
        return Form.TEXT if parameters.get("version") in {None, "0.0.4"} else None
    return None


def _escaping(parameters: dict[str, str]) -> Escaping:
    try:
        return Escaping(parameters.get("escaping", Escaping.UNDERSCORES))
    except ValueError:
        return Escaping.UNDERSCORES
