"""Types that users of the Collector may ask for: to say "not installed" instead of "unknown"."""

from __future__ import annotations

from collections.abc import Mapping

from untrace_pipeline.api.identity import Kind

__all__ = ["COLLECTOR_TYPES"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COLLECTOR_TYPES: Mapping[Kind, frozenset[str]] = {
    Kind.RECEIVER: _words(
        """
        aerospike apache awscloudwatch awscontainerinsightreceiver awsecscontainermetrics awsfirehose
        awsxray azureeventhub azuremonitor carbon cloudflare collectd couchdb datadog docker_stats
        elasticsearch file_log filelog filestats flinkmetrics fluentforward githubreceiver googlecloudpubsub
        googlecloudspanner haproxy host_metrics hostmetrics httpcheck iis influxdb jaeger jmx journald
        k8s_cluster k8s_events k8sobjects kafka kafkametrics kubeletstats loki memcached mongodb
        mongodbatlas mysql namedpipe netflow nginx nop nsxt ntp opencensus oracledb otelarrow otlp
        otlp_json_file otlpjsonfile podman_stats postgresql prometheus prometheus_simple
        prometheusremotewrite pulsar rabbitmq receiver_creator redis saphana signalfx simpleprometheus
        skywalking snmp snowflake solace splunk_hec splunkenterprise sqlquery sqlserver sshcheck statsd
        syslog systemd tcplog tlscheck udplog vcenter wavefront webhookevent windowseventlog
        windowsperfcounters zipkin zookeeper
        """
    ),
    Kind.PROCESSOR: _words(
        """
        attributes batch coralogix cumulativetodelta datadog deltatocumulative deltatorate dns filter
        gen_ai_normalizer geoip groupbyattrs groupbytrace interval isolationforest k8s_attributes
        k8sattributes log_dedup logdedup logstransform memory_limiter metricsgeneration metricstarttime
        metricstransform probabilistic_sampler queuebatch redaction remotetap resource resource_detection
        resourcedetection schema span sumologic tail_sampling transform unroll
        """
    ),
    Kind.CONNECTOR: _words(
        """
        count datadog exceptions failover forward grafanacloud metricsaslogs otlp_json otlpjson roundrobin
        routing servicegraph signal_to_metrics signaltometrics slowsql span_metrics spanmetrics sum
        """
    ),
    Kind.EXPORTER: _words(
        """
        alertmanager alibabacloud_logservice awscloudwatchlogs awsemf awskinesis awss3 awsxray azureblob
        azuredataexplorer azuremonitor bmchelix carbon cassandra clickhouse coralogix datadog dataset debug
        doris elasticsearch faro file googlecloud googlecloudpubsub googlecloudstorage
        googlemanagedprometheus honeycombmarker influxdb kafka kinetica load_balancing loadbalancing logging
        logicmonitor logzio mezmo nop opensearch otelarrow otlp otlp_grpc otlp_http otlphttp prometheus
        prometheusremotewrite pulsar rabbitmq sapm sematext sentry signalfx splunk_hec stef sumologic syslog
        tencentcloud_logservice tinybird zipkin
        """
    ),
    Kind.EXTENSION: _words(
        """
        ack asapclient awsproxy azureauth basic_auth basicauth bearer_token_auth bearertokenauth
        cgroupruntime db_storage docker_observer ecs_observer file_storage googleclientauth headers_setter
        health_check healthcheckv2 host_observer http_forwarder jaegerremotesampling k8s_leader_elector
        k8s_observer memory_ballast memory_limiter oauth2client oidc opamp pprof redis_storage remotetap
        sigv4auth sumologic zpages
        """
    ),
}
