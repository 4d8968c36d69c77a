"""Targets: from the configuration, and from files that are watched."""

from __future__ import annotations

import glob
import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import yaml

from untrace_pipeline.api.watched_file import WatchedFile
from untrace_plugins.receivers.prometheus.config import ScrapeConfig
from untrace_plugins.receivers.prometheus.relabel import Labels, Relabelling

__all__ = ["Discovery", "Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """Something to scrape; equal ones are the same."""

    url: str
    labels: tuple[tuple[str, str], ...]
    """Sorted; what every sample gets."""
    interval: float
    timeout: float

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return self.url.partition(":")[0]

    def phase(self) -> float:
        """Return its moment in the interval, from 0 to 1: the same in every process."""
        text = repr((self.url, self.labels)).encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) / 2.0**64


class Discovery:
    """The targets of one job."""

    def __init__(self, job: ScrapeConfig, interval: float, timeout: float, logger: logging.Logger) -> None:
        self._job = job
        self._interval = interval
        self._timeout = timeout
        self._logger = logger
        self._relabelling = Relabelling(job.relabel_configs)
        self._files: dict[str, WatchedFile] = {}
        self._groups: dict[str, list[tuple[str, Labels]]] = {}

    def targets(self) -> set[Target]:
        """Return the present targets; reads files that have changed, so it belongs into a thread."""
        found: set[Target] = set()
        for address, labels in self._discovered():
            target = self._target(address, labels)
            if target is not None:
                found.add(target)
        return found

    def _discovered(self) -> Iterator[tuple[str, Labels]]:
        for static in self._job.static_configs:
            yield from ((address, static.labels) for address in static.targets)
        for discovery in self._job.file_sd_configs:
            paths = sorted({path for pattern in discovery.files for path in glob.glob(pattern)})
            for path in paths:
                yield from self._of_file(path)

    def _of_file(self, path: str) -> Iterable[tuple[str, Labels]]:
        """Return the targets of a file; one that cannot be read, or makes no sense, leaves those before in force."""
        watched = self._files.setdefault(path, WatchedFile(path))
        try:
            content = watched.poll()
            if content is not None:
                self._groups[path] = list(_read(content, path))
        except (OSError, ValueError) as error:
            self._logger.warning("%s is not taken, its former targets stay: %s", path, error)
        return self._groups.get(path, ())

    def _target(self, address: str, given: Labels) -> Target | None:
        """Return a target after relabelling; ``None`` for one that is dropped."""
        job = self._job
        labels: Labels = {
            "job": job.job_name,
            "__scheme__": job.scheme,
            "__metrics_path__": job.metrics_path,
            "__scrape_interval__": f"{self._interval:g}s",
            "__scrape_timeout__": f"{self._timeout:g}s",
            **{f"__param_{name}": values[0] for name, values in job.params.items() if values},
            "__address__": address,
            **given,
        }
        relabelled = self._relabelling.apply(labels)
        if not relabelled or not relabelled.get("__address__"):
            return None
        address = relabelled["__address__"]
        kept = {name: value for name, value in relabelled.items() if not name.startswith("__") and value}
        kept.setdefault("instance", address)
        kept.setdefault("job", job.job_name)
        return Target(self._url(relabelled), tuple(sorted(kept.items())), self._interval, self._timeout)

    def _url(self, labels: Labels) -> str:
        params = {name: list(values) for name, values in self._job.params.items()}
        for label, value in labels.items():
            if label.startswith("__param_"):
                name = label.removeprefix("__param_")
                params[name] = [value, *params.get(name, [])[1:]]
        query = urlencode(sorted(params.items()), doseq=True)
        path = labels.get("__metrics_path__", "/metrics")
        path = path if path.startswith("/") else f"/{path}"
        joined = f"{path}{'&' if '?' in path else '?'}{query}" if query else path
        return f"{labels.get('__scheme__', 'http')}://{labels['__address__']}{joined}"


def _read(content: bytes, path: str) -> Iterator[tuple[str, Labels]]:
    """Yield addresses and labels of a file of YAML or JSON. Raises ``ValueError``."""
    try:
        groups: Any = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = "it is no YAML"
        raise ValueError(msg) from error
    for group in groups if isinstance(groups, list) else [groups]:
        targets = group.get("targets", []) if isinstance(group, dict) else None
        labels = group.get("labels") or {} if isinstance(group, dict) else {}
        listed = isinstance(targets, list) and all(isinstance(one, str) for one in targets)
        if not listed or not isinstance(labels, dict):
            msg = "it is no list of {targets: [host:port], labels: {name: value}}"
            raise ValueError(msg)
        own = {str(name): str(value) for name, value in labels.items()}
        for target in targets or ():
            yield target, {"__meta_filepath": path, **own}
