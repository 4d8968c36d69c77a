"""The daemon and the OpenTelemetry Collector under the same load, side by side: see README.md."""
