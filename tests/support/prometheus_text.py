"""Pages for Prometheus in a form in which two correct ones are equal, whatever the order of their lines."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from untrace_plugins.exporters.prometheus.protobuf import family_class

__all__ = ["ACCEPT", "canonical_page"]

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
ACCEPT: Mapping[str, str] = {
    "text": "text/plain;version=0.0.4",
    "utf8": "text/plain;version=0.0.4;escaping=allow-utf-8",
    "openmetrics": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
    "openmetrics utf8": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    "protobuf": PROTOBUF,
}
_PART = re.compile(
    r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[a-zA-Z_:][a-zA-Z0-9_:]*))(?:="(?P<value>(?:[^"\\]|\\.)*)")?'
)


def canonical_page(body: bytes, form: str) -> Counter[Any]:
    """Return all that a page says, as a multiset."""
    return Counter(_messages(body) if form == "protobuf" else _lines(body.decode()))


def _lines(text: str) -> Iterator[Any]:
    for line in text.removesuffix("\n").split("\n") if text else ():
        if line.startswith("#"):
            yield line.rstrip()
            continue
        sample, _, exemplar = line.partition(" # ")
        yield (_sample(sample), _sample(exemplar) if exemplar else None)


def _sample(text: str) -> Any:
    name, labels, rest = text, "", ""
    if "{" in text:
        name, _, inner = text.partition("{")
        end = _end(inner)
        labels, rest = inner[:end], inner[end + 1 :]
    else:
        name, _, rest = text.partition(" ")
    found = {}
    for match in _PART.finditer(labels):
        key = match["quoted"] if match["quoted"] is not None else match["plain"]
        if match["value"] is None:
            name = key
        else:
            found[key] = _number(match["value"]) if key in {"le", "quantile"} else match["value"]
    return name, tuple(sorted(found.items())), tuple(_number(one) for one in rest.split())


def _end(text: str) -> int:
    """Return where the labels end: at the first brace outside of quotes."""
    quoted = False
    place = 0
    while quoted or text[place] != "}":
        if text[place] == "\\":
            place += 1
        elif text[place] == '"':
            quoted = not quoted
        place += 1
    return place


def _number(text: str) -> str:
    value = float(text)
    return "NaN" if math.isnan(value) else repr(value)


def _messages(body: bytes) -> Iterator[Any]:
    place = 0
    while place < len(body):
        size, shift = 0, 0
        while True:
            byte = body[place]
            place += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        family = family_class().FromString(body[place : place + size])
        place += size
        yield ("family", family.name, family.help, family.type)
        for metric in family.metric:
            labels = tuple(sorted((one.name, one.value) for one in metric.label))
            del metric.label[:]
            histogram = metric.histogram if metric.HasField("histogram") else None
            _sort(metric.counter.exemplar for _ in range(metric.HasField("counter")))
            _sort(one.exemplar for one in (histogram.bucket if histogram else ()) if one.HasField("exemplar"))
            _sort(histogram.exemplars if histogram else ())
            yield (family.name, labels, _native(metric), str(metric))


def _sort(exemplars: Iterable[Any]) -> None:
    """Bring the labels of exemplars, which come at random, into order."""
    for exemplar in exemplars:
        labels = sorted(((one.name, one.value) for one in exemplar.label), reverse=True)
        for target, (name, value) in zip(exemplar.label, labels, strict=True):
            target.name, target.value = name, value


def _native(metric: Any) -> Any:
    """Return, and take away, the buckets of a native histogram by index: the same may be written as other spans."""
    found: list[tuple[str, int, int]] = []
    if not metric.HasField("histogram"):
        return ()
    for sign in ("positive", "negative"):
        deltas = iter(getattr(metric.histogram, f"{sign}_delta"))
        index = count = 0
        for span in getattr(metric.histogram, f"{sign}_span"):
            index += span.offset
            for place in range(span.length):
                count += next(deltas)
                found += [(sign, index + place, count)] if count else []
            index += span.length
        metric.histogram.ClearField(f"{sign}_span")
        metric.histogram.ClearField(f"{sign}_delta")
    return tuple(found)
