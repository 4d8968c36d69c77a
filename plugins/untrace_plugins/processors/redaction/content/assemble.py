"""From the configuration to detectors and treatment."""

from __future__ import annotations

from collections.abc import Callable

from untrace_pipeline.api import load_detector
from untrace_plugins.detectors.custom import CustomDetector
from untrace_plugins.detectors.detector_set import DetectorSet
from untrace_plugins.detectors.names import GROUPS
from untrace_plugins.processors.redaction.config import RedactionConfig
from untrace_plugins.processors.redaction.content import names, streams, walk
from untrace_plugins.processors.redaction.content.config import Action, PolicyConfig
from untrace_plugins.processors.redaction.content.rules import Rules
from untrace_plugins.processors.redaction.content.timed import TimedDetector
from untrace_plugins.processors.redaction.content.treat import Treatment
from untrace_plugins.processors.redaction.mask import make_mask

__all__ = ["detectors_of", "treatment_of"]


def detectors_of(config: RedactionConfig) -> DetectorSet:
    """Return the detectors; custom ones come first. Those of other packages are not waited for too long."""
    custom = [CustomDetector(one.name, one.pattern) for one in config.custom_detectors]
    installed = map(load_detector, config.detector_names)
    own = GROUPS["all"]
    return DetectorSet(
        [*custom, *(one if one.name in own else TimedDetector(one, config.detector_timeout) for one in installed)],
        (*names.TRIGGERS, *(names.IDENTITY_TRIGGERS if config.mode else ()), *streams.TRIGGERS, *walk.TRIGGERS),
    )


def treatment_of(config: RedactionConfig) -> Treatment:
    """Return rules and keys. Raises :class:`StartError` for a key that cannot be read."""
    custom = [one.name for one in config.custom_detectors]
    policies = list(config.policies)
    if config.mode and config.hmac_key:
        policies.append(PolicyConfig(detectors=[names.IDENTITY], action=Action.HASH))
    rules = Rules(policies, config.default_action, [*custom, names.IDENTITY])
    return Treatment(rules, make_mask(config), config.hmac_key.reveal().encode(), _token(config))


def _token(config: RedactionConfig) -> Callable[[str], str] | None:
    if Action.TOKEN not in config.actions():
        return None
    from untrace_plugins.sealing.keys import Keys  # noqa: PLC0415  needs the extra
    from untrace_plugins.sealing.values import Tokens  # noqa: PLC0415

    assert config.token is not None
    return Tokens(Keys.load(config.token, "token")).seal
