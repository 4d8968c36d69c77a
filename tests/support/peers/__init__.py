"""Real peers to compare with: built once, cached, started on free ports, stopped with SIGTERM.

`python -m tests.support.peers build collector` builds the OpenTelemetry Collector and prints where it is. Tests call
`collector_binary(build=False)` and skip on `PeerUnavailable`. `Collector(config)` and `Daemon(config)` run the same
YAML. `build h2spec` builds the conformance tests of HTTP/2 servers, `h2spec_binary` says where they are. `build kafka`
fetches a real broker, `build kfake` builds one in memory that fails on demand: `KafkaBroker()`, `Kfake()`.
`build prometheus` builds Prometheus and promtool: `Prometheus(config)`. `build moto fake-gcs azurite` brings the object
stores: `Moto()`, `FakeGcs()`, `Azurite()`. `build llm-clients llm-clients-node litellm` brings the real clients of LLM
providers (`tests.support.llm_clients`) and a proxy to compare with: `LiteLlm()`. `build schemathesis` brings the fuzzer
of APIs: `schemathesis_command()`. A peer of one process and one port is a `PeerServer`.
"""

from tests.support.peers.cache import PeerUnavailable, build_go_program, build_once, cache_root
from tests.support.peers.collector import COLLECTOR_RECIPE, Collector, collector_binary
from tests.support.peers.daemon import Daemon, daemon_command
from tests.support.peers.databases import (
    ClickHouse,
    Loki,
    OpenSearch,
    clickhouse_environment,
    loki_binary,
    opensearch_directory,
)
from tests.support.peers.h2spec import h2spec_binary
from tests.support.peers.jaeger import Jaeger, jaeger_binary
from tests.support.peers.kafka import KafkaBroker, kafka_jars
from tests.support.peers.kfake import Kfake, kfake_binary
from tests.support.peers.litellm import LITELLM_REQUIREMENTS, LiteLlm, litellm_environment
from tests.support.peers.llm_clients import llm_clients, llm_clients_node
from tests.support.peers.platforms import (
    DatadogAgent,
    MlFlow,
    Phoenix,
    ddapm_environment,
    mlflow_environment,
    phoenix_environment,
)
from tests.support.peers.process import ConfiguredProcess, PeerProcessError, free_port
from tests.support.peers.prometheus import Prometheus, prometheus_binaries
from tests.support.peers.schemathesis import schemathesis_command
from tests.support.peers.server import PeerServer
from tests.support.peers.skipping import peer_or_skip
from tests.support.peers.stores import Azurite, FakeGcs, Moto, azurite_directory, fake_gcs_binary, moto_environment

__all__ = [
    "COLLECTOR_RECIPE",
    "LITELLM_REQUIREMENTS",
    "Azurite",
    "ClickHouse",
    "Collector",
    "ConfiguredProcess",
    "Daemon",
    "DatadogAgent",
    "FakeGcs",
    "Jaeger",
    "KafkaBroker",
    "Kfake",
    "LiteLlm",
    "Loki",
    "MlFlow",
    "Moto",
    "OpenSearch",
    "PeerProcessError",
    "PeerServer",
    "PeerUnavailable",
    "Phoenix",
    "Prometheus",
    "azurite_directory",
    "build_go_program",
    "build_once",
    "cache_root",
    "clickhouse_environment",
    "collector_binary",
    "daemon_command",
    "ddapm_environment",
    "fake_gcs_binary",
    "free_port",
    "h2spec_binary",
    "jaeger_binary",
    "kafka_jars",
    "kfake_binary",
    "litellm_environment",
    "llm_clients",
    "llm_clients_node",
    "loki_binary",
    "mlflow_environment",
    "moto_environment",
    "opensearch_directory",
    "peer_or_skip",
    "phoenix_environment",
    "prometheus_binaries",
    "schemathesis_command",
]
