"""Values that only who has the key can read: ``encrypt`` and ``redaction`` (tokens) write them, ``decrypt`` reads them.

Needs the extra ``crypto``, but for ``config``.
"""
