"""Extension ``object_store``: keeps what destinations do not take, such as long prompts, as objects of a bucket.

An exporter names it in ``long_values.storage``; it sends the beginning of a text, and where the whole is. A text is
stored once, however often it is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import ExtensionFactory, Settings, Stability
from untrace_plugins.extensions.object_store.config import ContentStoreConfig

if TYPE_CHECKING:
    from untrace_plugins.extensions.object_store.extension import ObjectContentStore

__all__ = ["FACTORY"]


def _create(config: ContentStoreConfig, settings: Settings) -> ObjectContentStore:
    from untrace_plugins.extensions.object_store.extension import ObjectContentStore  # noqa: PLC0415

    return ObjectContentStore(config, settings)


FACTORY = ExtensionFactory(
    type_name="object_store",
    config=ContentStoreConfig,
    description="keeps long contents in S3, Google Cloud Storage, Azure Blob Storage or a directory",
    create=_create,
    stability=Stability.BETA,
    extra="object-store",
)
