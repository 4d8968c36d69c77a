"""Applications with real SDKs of LLM platforms, for the environments of `tests/support/peers/vendor_sdks.py`."""
