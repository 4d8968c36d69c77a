"""What samplers share: hashes and thresholds, tracestate, and holding traces back until they can be decided."""
