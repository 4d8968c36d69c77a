"""The one table of metric names: every metric of the core and of the shared parts, by the room that counts it.

Names stand here without prefix (``untrace_`` or ``otelcol_``, see ``service.telemetry.metrics.prefix``) and without the
``_total`` that Prometheus adds to counters. They are the Collector's wherever it has the metric (its
``service/documentation.md`` and ``exporterhelper/documentation.md``), so that dashboards work unchanged. The engine
fills in the labels that name the component: ``receiver``, ``processor``, ``exporter``, ``destination``, ``connector``,
``extension``, or ``kind`` and ``component`` where all kinds share a metric.
"""

from __future__ import annotations

from collections.abc import Iterator

from untrace_pipeline.api.telemetry import Aggregation, MetricKind, MetricSpec
from untrace_pipeline.data.signal import Signal

__all__ = ["METRICS", "SECTIONS"]

COUNTER, GAUGE, HISTOGRAM = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM
MAX, MIN, OWN = Aggregation.MAX, Aggregation.MIN, Aggregation.OWN

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Latencies from in-process hops to a destination that runs into its timeout."""
ITEMS = (
    1.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1000.0,
    2500.0,
    5000.0,
    8192.0,
    10000.0,
    25000.0,
    50000.0,
    100000.0,
)
"""Items per batch, with the Collector's ``send_batch_size`` of 8192 as a bound."""
BYTES = tuple(float(1 << shift) for shift in range(10, 27, 2))
"""Bytes per batch: 1 KiB to 64 MiB, OTLP's recommended limit of a request."""


def _per_signal(name: str, help: str, labels: tuple[str, ...]) -> Iterator[MetricSpec]:
    """Yield one counter per signal; ``{items}`` stands for its word: ``log_records``, in the help with a space."""
    for signal in Signal:
        words = signal.item.replace("_", " ").capitalize()
        yield MetricSpec(name.format(items=signal.item), COUNTER, help.format(items=words), labels)


_RECEIVER = ("receiver", "transport")

_INTAKE = (
    *_per_signal("receiver_accepted_{items}", "{items} acknowledged to the client.", _RECEIVER),
    *_per_signal("receiver_refused_{items}", "{items} refused by the pipelines; the client was told.", _RECEIVER),
    *_per_signal("receiver_failed_{items}", "{items} that an unexpected error kept from being taken.", _RECEIVER),
    MetricSpec(
        "receiver_requests",
        COUNTER,
        "Requests that reached the pipelines, by outcome: success, refused or failure.",
        (*_RECEIVER, "outcome"),
    ),
    MetricSpec(
        "receiver_not_admitted_requests",
        COUNTER,
        "Requests refused before they were read, by a memory limiter or because every queue was full.",
        ("receiver",),
    ),
)

_LINKS = (
    MetricSpec(
        "processor_incoming_items", COUNTER, "Items handed to a processor.", ("processor", "pipeline", "otel_signal")
    ),
    MetricSpec(
        "processor_outgoing_items", COUNTER, "Items a processor passed on.", ("processor", "pipeline", "otel_signal")
    ),
    MetricSpec(
        "processor_internal_duration",
        HISTOGRAM,
        "Seconds that a transform worked on a batch.",
        ("processor", "pipeline", "otel_signal"),
        SECONDS,
    ),
    MetricSpec(
        "processing_latency_seconds",
        HISTOGRAM,
        "Seconds from the receiver until every branch accepted (stage receiver), or until another worker did (hop).",
        ("stage",),
        SECONDS,
    ),
    MetricSpec(
        "hop_items",
        COUNTER,
        "Items before a processor that needs whole traces, with several workers; way: kept here, sent to the worker "
        "that they belong to, received from another.",
        ("pipeline", "way"),
    ),
    MetricSpec(
        "processor_pending_items",
        GAUGE,
        "Items that a processor has accepted and holds back: undecided, or not taken by what comes next.",
        ("processor",),
    ),
    MetricSpec(
        "dropped_items",
        COUNTER,
        "Items that end here, by reason: filtered, sampled, no_route, dry_run, queue_full, expired, permanent, "
        "too_large, damaged or shutdown.",
        ("kind", "component", "signal", "reason"),
    ),
    MetricSpec(
        "component_exceptions",
        COUNTER,
        "Unexpected exceptions of a component; the batch was refused as INTERNAL and the error is in the log.",
        ("kind", "component"),
    ),
)

_SERVERS = (
    MetricSpec(
        "api_requests",
        COUNTER,
        "HTTP requests answered, by endpoint (the route, not the path) and status code.",
        ("method", "endpoint", "status"),
    ),
    MetricSpec(
        "api_latency_seconds", HISTOGRAM, "Seconds until an HTTP request was answered.", ("method", "endpoint"), SECONDS
    ),
)

_PROCESSORS = (
    MetricSpec("processor_batch_batch_send_size", HISTOGRAM, "Items in a batch that was sent.", ("processor",), ITEMS),
    MetricSpec(
        "processor_batch_batch_send_size_bytes", HISTOGRAM, "Bytes in a batch that was sent.", ("processor",), BYTES
    ),
    MetricSpec(
        "processor_batch_batch_size_trigger_send", COUNTER, "Batches sent because they were full.", ("processor",)
    ),
    MetricSpec(
        "processor_batch_timeout_trigger_send", COUNTER, "Batches sent because their time was up.", ("processor",)
    ),
    MetricSpec(
        "processor_batch_metadata_cardinality",
        GAUGE,
        "Combinations of metadata values that are batched apart.",
        ("processor",),
    ),
    MetricSpec(
        "processor_llm_cost_spans",
        COUNTER,
        "LLM call spans by what became of their cost: ok, reported, duplicate, no_usage, invalid_usage, no_model or "
        "unknown_model.",
        ("processor", "status"),
    ),
    MetricSpec(
        "processor_llm_cost_usd",
        COUNTER,
        "US dollars that calls to models cost; provider and model as the price list names them, reported where only "
        "the instrumentation knew.",
        ("processor", "provider", "model"),
    ),
    MetricSpec(
        "processor_llm_cost_invalid_durations",
        COUNTER,
        "LLM call spans that end before they start; they have no speed.",
        ("processor",),
    ),
)

_MILLISECONDS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0, 50000.0)
_AGES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 14400.0, 86400.0)
"""From a usual trace to one of a whole day."""
_HOLDER = ("processor",)

_SAMPLING = (
    MetricSpec(
        "processor_tail_sampling_count_traces_sampled",
        COUNTER,
        "Traces about which a policy was asked, by what it said.",
        (*_HOLDER, "policy", "sampled", "decision"),
    ),
    MetricSpec(
        "processor_tail_sampling_global_count_traces_sampled",
        COUNTER,
        "Traces that were decided.",
        (*_HOLDER, "sampled", "decision"),
    ),
    MetricSpec(
        "processor_tail_sampling_early_releases_from_cache_decision",
        COUNTER,
        "Spans that came after the decision and followed it.",
        (*_HOLDER, "sampled"),
    ),
    MetricSpec("processor_tail_sampling_new_trace_id_received", COUNTER, "Traces that began to wait.", _HOLDER),
    MetricSpec(
        "processor_tail_sampling_sampling_policy_evaluation_error",
        COUNTER,
        "Times that a policy had no answer about a trace.",
        _HOLDER,
    ),
    MetricSpec(
        "processor_tail_sampling_traces_dropped_too_large",
        COUNTER,
        "Traces that grew beyond maximum_trace_size_bytes.",
        _HOLDER,
    ),
    MetricSpec(
        "processor_tail_sampling_sampling_traces_decided_early",
        COUNTER,
        "Traces that were decided before their time, because num_traces or memory_limit was reached.",
        _HOLDER,
    ),
    MetricSpec(
        "processor_tail_sampling_spilled_fragments",
        COUNTER,
        "Pieces of traces that were left to the disk, because memory_limit was reached.",
        _HOLDER,
    ),
    MetricSpec(
        "processor_llm_sampler_invalid_values",
        COUNTER,
        "Costs and numbers of tokens that cannot be, and were left out: negative, not finite, or no numbers.",
        _HOLDER,
    ),
    MetricSpec(
        "processor_llm_sampler_factor",
        GAUGE,
        "By how much hourly bounds make all chances larger or smaller.",
        _HOLDER,
        aggregation=MAX,
    ),
    MetricSpec("processor_tail_sampling_sampling_traces_on_memory", GAUGE, "Traces that wait.", _HOLDER),
    MetricSpec("processor_tail_sampling_pending_bytes", GAUGE, "Bytes of waiting spans in memory.", _HOLDER),
    MetricSpec(
        "processor_tail_sampling_sampling_decision_timer_latency",
        HISTOGRAM,
        "Milliseconds that deciding about all traces that were due took.",
        _HOLDER,
        _MILLISECONDS,
    ),
    MetricSpec(
        "processor_tail_sampling_sampling_late_span_age",
        HISTOGRAM,
        "Seconds from a decision to spans that came after it.",
        _HOLDER,
        _AGES,
    ),
)

_DELIVERY = (
    *_per_signal("exporter_sent_{items}", "{items} that the destination accepted.", ("exporter",)),
    *_per_signal("exporter_send_failed_{items}", "{items} given up on after the last attempt.", ("exporter",)),
    *_per_signal("exporter_enqueue_failed_{items}", "{items} that the full queue refused.", ("exporter",)),
    *_per_signal(
        "exporter_rejected_{items}", "{items} that the destination rejected (partial success).", ("exporter",)
    ),
    MetricSpec("exporter_queue_size", GAUGE, "Fill of the queue, in the unit of its sizer.", ("exporter",)),
    MetricSpec("exporter_queue_capacity", GAUGE, "Capacity of the queue, in the unit of its sizer.", ("exporter",)),
    MetricSpec(
        "exporter_queue_age_seconds", GAUGE, "Age of the oldest batch in the queue.", ("exporter",), aggregation=MAX
    ),
    MetricSpec("exporter_in_flight_requests", GAUGE, "Requests that wait for an answer.", ("exporter",)),
    MetricSpec("exporter_queue_batch_send_size", HISTOGRAM, "Items in a request sent.", ("exporter",), ITEMS),
    MetricSpec("exporter_queue_batch_send_size_bytes", HISTOGRAM, "Bytes in a request sent.", ("exporter",), BYTES),
    MetricSpec("exporter_enqueue_size", HISTOGRAM, "Items in a batch that was queued.", ("exporter",), ITEMS),
    MetricSpec("exporter_enqueue_size_bytes", HISTOGRAM, "Bytes in a batch that was queued.", ("exporter",), BYTES),
    MetricSpec("exporter_retries", COUNTER, "Attempts after the first.", ("exporter",)),
    MetricSpec(
        "exporter_paced_waits",
        COUNTER,
        "Waits before an attempt, because the destination wants only so many requests.",
        ("exporter",),
    ),
    MetricSpec(
        "exporter_circuit_state",
        GAUGE,
        "State of the circuit breaker: 0 closed, 1 half-open (probing), 2 open (no requests).",
        ("exporter",),
        aggregation=MAX,
    ),
    MetricSpec(
        "exporter_circuit_changes", COUNTER, "Changes of the circuit breaker, by new state.", ("exporter", "state")
    ),
    MetricSpec(
        "exporter_truncated_items",
        COUNTER,
        "Items delivered shortened, because they were too large by themselves.",
        ("exporter",),
    ),
    MetricSpec(
        "exporter_dead_lettered_items",
        COUNTER,
        "Items that went to the dead-letter queue, by reason: permanent, too_large, expired or queue_full.",
        ("exporter", "signal", "reason"),
    ),
    MetricSpec(
        "exporter_pending_items",
        GAUGE,
        "Items without an outcome: queued, in_flight; and undecided, those of them whose sender still waits to hear.",
        ("exporter", "state"),
    ),
    MetricSpec(
        "ledger_items",
        COUNTER,
        "Items of each exporter, connector and processor that holds items, by what became of them; accepted and "
        "unacknowledged are the sum of all other states, of exporter_pending_items and processor_pending_items.",
        ("kind", "component", "state"),
    ),
    MetricSpec(
        "destination_requests",
        COUNTER,
        "Requests sent, by status: the name of the gRPC code; HTTP statuses are mapped to the code they stand for.",
        ("destination", "status"),
    ),
    MetricSpec(
        "destination_latency_seconds", HISTOGRAM, "Seconds until the destination answered.", ("destination",), SECONDS
    ),
    MetricSpec(
        "traces_processed",
        COUNTER,
        "Batches of traces that ended, by tenant and exporter; status: delivered, rejected or dropped.",
        ("customer_id", "destination", "status"),
    ),
)

_DEAD_LETTERS = (
    MetricSpec(
        "dead_letters",
        GAUGE,
        "Items that lie in the dead-letter queue of an exporter.",
        ("extension", "exporter"),
        aggregation=MAX,
    ),
    MetricSpec(
        "dead_letters_bytes",
        GAUGE,
        "Bytes that the dead letters of all exporters take up on disk.",
        ("extension",),
        aggregation=MAX,
    ),
    MetricSpec(
        "dead_letters_purged",
        COUNTER,
        "Items that were removed from the dead-letter queue unseen: size (no room is left) or age.",
        ("extension", "exporter", "reason"),
    ),
)

_PROCESS = (
    MetricSpec(
        "runtime_info",
        GAUGE,
        "Always 1: which implementation of the codec, ingress and egress the process uses, and why.",
        ("part", "implementation", "reason"),
        aggregation=MAX,
    ),
    MetricSpec("workers", GAUGE, "Worker processes, where there are several; state: wanted, ready.", ("state",)),
    MetricSpec("worker_restarts", COUNTER, "Starts of a worker process after one that had ended.", ("worker",)),
    MetricSpec("process_uptime", COUNTER, "Seconds since the process started.", aggregation=MAX),
    MetricSpec("process_cpu_seconds", COUNTER, "User and system CPU time."),
    MetricSpec("process_memory_rss", GAUGE, "Resident memory in bytes."),
    MetricSpec(
        "event_loop_lag_seconds",
        HISTOGRAM,
        "How late the event loop woke a timer: high values mean that something blocks it.",
        (),
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
    ),
    MetricSpec(
        "event_loop_lag_max_seconds", GAUGE, "Greatest lag of the event loop since the last scrape.", aggregation=MAX
    ),
    MetricSpec(
        "pipeline_ready", GAUGE, "1 while a pipeline is ready, 0 while it is not.", ("pipeline",), aggregation=MIN
    ),
    MetricSpec(
        "config_reloads",
        COUNTER,
        "Reloads, by outcome: success, unchanged or failure.",
        ("outcome",),
        aggregation=OWN,
    ),
    MetricSpec(
        "config_last_reload_successful",
        GAUGE,
        "1 if the running configuration is the one last asked for.",
        aggregation=OWN,
    ),
)

SECTIONS: tuple[tuple[str, tuple[MetricSpec, ...]], ...] = (
    ("Receivers", _INTAKE),
    ("Processing", _LINKS),
    ("HTTP servers", _SERVERS),
    ("The batch processor", _PROCESSORS),
    ("Samplers that wait for whole traces", _SAMPLING),
    ("Exporters and destinations", _DELIVERY),
    ("Dead letters", _DEAD_LETTERS),
    ("Process and configuration", _PROCESS),
)
"""The metrics as the documentation shows them, by title."""

METRICS: tuple[MetricSpec, ...] = tuple([spec for _, specs in SECTIONS for spec in specs])
"""Every metric of the core. A plugin's own stand in its factory."""
