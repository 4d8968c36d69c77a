"""What connectors share that turn spans into metrics: series in memory, and OTLP requests of them at intervals.

State lives in memory and begins anew with the process: cumulative series then have a new start time, as after a restart
of any application.
"""
