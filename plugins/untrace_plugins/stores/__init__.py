"""Object stores: S3, Google Cloud Storage, Azure Blob Storage and a directory, behind one way to put an object.

::

    store = open_store(config, logger)          # of any configuration that extends StoreConfig; imports what it needs
    await store.start(host)
    new = await store.put(StoredObject("spans/1.json", b"{}", "application/json"))
    where = store.locate("spans/1.json")        # s3://bucket/base/spans/1.json
    await store.close()

Nothing here imports the library of a cloud at import time: configurations are validated without it.
"""

from untrace_plugins.stores.config import Provider, StoreConfig
from untrace_plugins.stores.store import ObjectStore, StoredObject, open_store

__all__ = ["ObjectStore", "Provider", "StoreConfig", "StoredObject", "open_store"]
