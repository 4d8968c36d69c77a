"""The promise to plugin authors: everything that a component may use, and nothing else changes without notice.

A component imports from here, and from ``untrace_pipeline.data``, ``.delivery``, ``.conditions`` and ``.net``.
"""

from untrace_pipeline.api.acknowledgement import Acceptance, Keeps, Upstream
from untrace_pipeline.api.auth import ClientAuthenticator, Credentials, ServerAuthenticator
from untrace_pipeline.api.component import (
    Admission,
    Component,
    Connector,
    Drainable,
    Exporter,
    Extension,
    Host,
    Outputs,
    Processor,
    Receiver,
    Settings,
    Transform,
)
from untrace_pipeline.api.config import ComponentConfig, ConfigModel, Duration, Secret, Size, format_duration
from untrace_pipeline.api.consumer import Consumer, Intake, Outlet
from untrace_pipeline.api.destination import About, ProbeResult, Probing
from untrace_pipeline.api.detector import DETECTOR_GROUP, Detector, Finding, installed_detectors, load_detector
from untrace_pipeline.api.explaining import Answer, Asked, Explaining, Explanation
from untrace_pipeline.api.factory import (
    Affinity,
    ConnectorFactory,
    ExporterFactory,
    ExtensionFactory,
    Factory,
    ProcessorFactory,
    ReceiverFactory,
    Stability,
    TransformFactory,
)
from untrace_pipeline.api.fanout import Dropped, Part, consume_all, count_overflow, worst
from untrace_pipeline.api.identity import ComponentId, Kind, PipelineId
from untrace_pipeline.api.status import Status, StatusEvent
from untrace_pipeline.api.surroundings import Remark, Surroundings
from untrace_pipeline.api.telemetry import (
    Aggregation,
    Counter,
    Gauge,
    Histogram,
    Meter,
    MeterPart,
    MetricKind,
    MetricSpec,
)
from untrace_pipeline.api.watched_file import WatchedFile
from untrace_pipeline.api.workers import Workers
from untrace_pipeline.errors import (
    Code,
    ConsumeError,
    DecodeError,
    OversizeError,
    PermanentError,
    QueueFullError,
    RetryableError,
    StartError,
)

__all__ = [
    "DETECTOR_GROUP",
    "About",
    "Acceptance",
    "Admission",
    "Affinity",
    "Aggregation",
    "Answer",
    "Asked",
    "ClientAuthenticator",
    "Code",
    "Component",
    "ComponentConfig",
    "ComponentId",
    "ConfigModel",
    "Connector",
    "ConnectorFactory",
    "ConsumeError",
    "Consumer",
    "Counter",
    "Credentials",
    "DecodeError",
    "Detector",
    "Drainable",
    "Dropped",
    "Duration",
    "Explaining",
    "Explanation",
    "Exporter",
    "ExporterFactory",
    "Extension",
    "ExtensionFactory",
    "Factory",
    "Finding",
    "Gauge",
    "Histogram",
    "Host",
    "Intake",
    "Keeps",
    "Kind",
    "Meter",
    "MeterPart",
    "MetricKind",
    "MetricSpec",
    "Outlet",
    "Outputs",
    "OversizeError",
    "Part",
    "PermanentError",
    "PipelineId",
    "ProbeResult",
    "Probing",
    "Processor",
    "ProcessorFactory",
    "QueueFullError",
    "Receiver",
    "ReceiverFactory",
    "Remark",
    "RetryableError",
    "Secret",
    "ServerAuthenticator",
    "Settings",
    "Size",
    "Stability",
    "StartError",
    "Status",
    "StatusEvent",
    "Surroundings",
    "Transform",
    "TransformFactory",
    "Upstream",
    "WatchedFile",
    "Workers",
    "consume_all",
    "count_overflow",
    "format_duration",
    "installed_detectors",
    "load_detector",
    "worst",
]
