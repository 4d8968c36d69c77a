"""Looking for many patterns at once in raw bytes: what redaction and the detectors share."""
