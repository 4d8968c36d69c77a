"""What the exporters ``prometheus`` and ``prometheus_remote_write`` share: OTLP metrics as Prometheus knows them.

Pure: names of metrics and labels, points, and messages of its protocols.
"""
