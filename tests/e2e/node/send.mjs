// Sends one span, one log record and one metric with the real OpenTelemetry SDK of Node.
//   node send.mjs <grpc|proto|json> <endpoint>
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// Modules are resolved from the directory that the test installed them into.
const require = createRequire(pathToFileURL(process.cwd() + "/"));
const [protocol, endpoint] = process.argv.slice(2);
const suffix = { grpc: "grpc", proto: "proto", json: "http" }[protocol];
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${suffix}`);
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${suffix}`);
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${suffix}`);
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BasicTracerProvider, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-base");
const { LoggerProvider, SimpleLogRecordProcessor } = require("@opentelemetry/sdk-logs");
const { MeterProvider, PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");
const { SpanKind, SpanStatusCode } = require("@opentelemetry/api");

const url = (signal) => (protocol === "grpc" ? endpoint : `${endpoint}/v1/${signal}`);
const resource = resourceFromAttributes({ "service.name": `node-${protocol}` });
const attributes = {
  "gen_ai.request.model": "gpt-4o",
  "gen_ai.usage.input_tokens": 1234,
  "gen_ai.request.temperature": 0.25,
  "gen_ai.response.finish_reasons": ["stop", "length"],
  "gen_ai.input.messages": JSON.stringify([{ role: "user", content: "Grüße, 世界 🌍" }]),
  cached: true,
};

const traces = new BasicTracerProvider({
  resource,
  spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter({ url: url("traces") }))],
});
const span = traces.getTracer("e2e", "1.2.3").startSpan("chat gpt-4o", { kind: SpanKind.CLIENT, attributes });
span.addEvent("gen_ai.choice", { index: 0 });
span.setStatus({ code: SpanStatusCode.ERROR, message: "rate limited" });
span.end();

const logs = new LoggerProvider({
  resource,
  processors: [new SimpleLogRecordProcessor({ exporter: new OTLPLogExporter({ url: url("logs") }) })],
});
logs.getLogger("e2e").emit({ body: "model called", severityNumber: 9, severityText: "INFO", attributes });

const metrics = new MeterProvider({
  resource,
  readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter({ url: url("metrics") }) })],
});
metrics.getMeter("e2e").createHistogram("gen_ai.client.token.usage", { unit: "{token}" }).record(1234, { cached: true });

for (const provider of [traces, logs, metrics]) {
  await provider.forceFlush();
  await provider.shutdown();
}
