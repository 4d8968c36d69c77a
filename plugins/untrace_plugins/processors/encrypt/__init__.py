"""Encrypts chosen attributes, so that they reach destinations and only who has the key can read them there.

AES-256-GCM, with the id of the key beside the value, so that keys can be changed; `untrace-pipeline decrypt` reads it.
An attribute that is not chosen costs next to nothing; one that is, a few microseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import MetricKind, MetricSpec, Settings, Stability, TransformFactory
from untrace_plugins.processors.encrypt.config import EncryptConfig

if TYPE_CHECKING:
    from untrace_plugins.processors.encrypt.processor import Encrypt

__all__ = ["FACTORY"]


def _create(config: EncryptConfig, settings: Settings) -> Encrypt:
    from untrace_plugins.processors.encrypt.processor import Encrypt  # noqa: PLC0415  needs the extra

    return Encrypt(config, settings)


FACTORY = TransformFactory(
    type_name="encrypt",
    config=EncryptConfig,
    create=_create,
    description="encrypts chosen attributes with AES-256-GCM",
    stability=Stability.BETA,
    extra="crypto",
    metrics=(
        MetricSpec("processor_encrypt_values", MetricKind.COUNTER, "Values that were encrypted.", ("processor",)),
    ),
)
