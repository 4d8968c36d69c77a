"""What the exporter and the receiver ``kafka`` share: options of a client, the settings of librdkafka, its errors.

Nothing here imports confluent-kafka at import time: configurations are validated without it.
"""
