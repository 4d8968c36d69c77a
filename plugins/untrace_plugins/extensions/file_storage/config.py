"""Options of the extension ``file_storage``."""

from __future__ import annotations

from pydantic import Field

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration, Size
from untrace_plugins.sealing.config import KeysConfig

__all__ = ["CompactionConfig", "DeadLettersConfig", "EncryptionConfig", "FileStorageConfig"]


class EncryptionConfig(KeysConfig):
    """``encryption``: AES-256-GCM for everything that is stored. Needs the extra ``crypto``."""


class DeadLettersConfig(ConfigModel):
    """``dead_letters``: how much is kept of what exporters with a ``dead_letter_queue`` gave up, and for how long."""

    max_size: Size = Field(1024**3, ge=1024**2)
    """Most that dead letters take up on disk; the oldest of all exporters give way. Not part of the ``max_size`` of the
    queues."""
    max_age: Duration = Field(168 * 3600.0, ge=0)
    """They are removed when they were given up longer ago than this; ``0`` = never."""


class CompactionConfig(ConfigModel):
    """``compaction``: accepted for the Collector's sake, without an effect. Space comes back by itself here, because
    files whose content was delivered are deleted."""

    on_start: bool = False
    """No effect."""
    on_rebound: bool = False
    """No effect."""
    directory: str | None = None
    """No effect."""
    max_transaction_size: int = 65536
    """No effect."""
    rebound_needed_threshold_mib: int = 100
    """No effect."""
    rebound_trigger_threshold_mib: int = 10
    """No effect."""
    check_interval: Duration = 5.0
    """No effect."""
    cleanup_on_start: bool = False
    """No effect."""


class FileStorageConfig(ComponentConfig):
    """Where to store, how much, and how."""

    directory: str = Field("/var/lib/untrace/file_storage", min_length=1)
    """Where the files lie; used by one daemon at a time. Each worker process has a directory of its own in it."""
    create_directory: bool = False
    """Create the directory where it is missing."""
    directory_permissions: str = Field("0750", pattern=r"^0?[0-7]{3}$")
    """Permissions of directories that are created, octal."""
    timeout: Duration = Field(1.0, ge=0)
    """Longest wait for another process that still uses the directory."""
    fsync: bool = True
    """Whether accepted means that the disk has it. ``false``: the operating system has it; the death of the daemon then
    loses nothing, but that of the machine may lose the last half minute. Differs from the Collector: it is on."""
    max_size: Size = Field(10 * 1024**3, ge=1024**2)
    """Most that all queues take up on disk together; workers share it. When it is reached, senders are told to come
    back. Half of it is divided evenly among the queues, so that no queue takes the room of all others."""
    encryption: EncryptionConfig | None = None
    """Present = what is stored is encrypted."""
    dead_letters: DeadLettersConfig = DeadLettersConfig()
    """Dead letters lie in ``dead_letters.db`` in the directory, one for all exporters and workers."""
    recreate: bool = False
    """Accepted for the Collector's sake, without an effect: damaged files are set aside, and what is readable in them
    is delivered."""
    compaction: CompactionConfig = CompactionConfig()
    """Accepted for the Collector's sake, without an effect."""
