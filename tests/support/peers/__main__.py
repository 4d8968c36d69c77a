"""`python -m tests.support.peers build collector h2spec …`: build peers, print where they are."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.support.peers.cache import PeerUnavailable
from tests.support.peers.collector import collector_binary, prometheus_collector_binary
from tests.support.peers.databases import clickhouse_environment, loki_binary, opensearch_directory
from tests.support.peers.h2spec import h2spec_binary
from tests.support.peers.jaeger import jaeger_binary
from tests.support.peers.kafka import kafka_jars
from tests.support.peers.kfake import kfake_binary
from tests.support.peers.litellm import litellm_environment
from tests.support.peers.llm_clients import llm_clients, llm_clients_node
from tests.support.peers.platforms import ddapm_environment, mlflow_environment, phoenix_environment
from tests.support.peers.prometheus import prometheus_binaries
from tests.support.peers.schemathesis import schemathesis_environment
from tests.support.peers.stores import azurite_directory, fake_gcs_binary, moto_environment
from tests.support.peers.vendor_sdks import vendor_sdks, vendor_sdks_old

AT_A_TIME = 3
"""Peers that are built beside each other: what is fetched waits, what is compiled does not."""

BUILDERS = {
    "azurite": azurite_directory,
    "clickhouse": clickhouse_environment,
    "collector": collector_binary,
    "ddapm": ddapm_environment,
    "fake-gcs": fake_gcs_binary,
    "h2spec": h2spec_binary,
    "jaeger": jaeger_binary,
    "kafka": kafka_jars,
    "kfake": kfake_binary,
    "litellm": litellm_environment,
    "llm-clients": llm_clients,
    "llm-clients-node": llm_clients_node,
    "mlflow": mlflow_environment,
    "moto": moto_environment,
    "loki": loki_binary,
    "opensearch": opensearch_directory,
    "phoenix": phoenix_environment,
    "prometheus": prometheus_binaries,
    "prometheus-collector": prometheus_collector_binary,
    "schemathesis": schemathesis_environment,
    "vendor-sdks": vendor_sdks,
    "vendor-sdks-old": vendor_sdks_old,
}


def main() -> int:
    """Build the named peers, as many as are to be had; 1 when one is not."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.peers", description=__doc__)
    parser.add_argument("action", choices=["build"])
    parser.add_argument("names", nargs="+", choices=sorted(BUILDERS))
    arguments = parser.parse_args()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return int(not all(list(pool.map(_build, arguments.names))))


def _build(name: str) -> bool:
    """Build a peer and say where it is, how long it took, or why there is none."""
    begin = time.monotonic()
    try:
        print(f"{BUILDERS[name]()} ({time.monotonic() - begin:.0f} s)", flush=True)
    except PeerUnavailable as reason:
        print(f"peer not available: {reason}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
