//! Every metric that there is: the one place for names, types, labels and meanings. The reference in the docs is made from it.

use serde::Serialize;

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Metric {
    /// As a query names it; of a histogram without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// What it does.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What it tells.
    pub help: &'static str,
    /// Its labels, in order.
    pub labels: &'static [&'static str],
}

/// What a metric does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many of which size.
    Histogram,
}

impl Kind {
    /// Prometheus' word.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

impl Metric {
    /// The name of its family: of a counter without `_total`.
    pub fn family(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }
}

/// All metrics, in the order in which people want to read about them.
pub fn catalogue() -> &'static [Metric] {
    ALL
}

/// The metric of that name.
pub fn by_name(name: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| metric.name == name)
}

macro_rules! metrics {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        /// The metrics by themselves.
        pub mod name {
            use super::{Kind, Metric};

            $(
                #[doc = $help]
                pub const $id: Metric = Metric { name: $name, kind: Kind::$kind, help: $help, labels: &[$($label),*] };
            )*
        }

        const ALL: &[Metric] = &[$(name::$id),*];
    };
}

metrics! {
    EVENTS: Counter "incident_sink_events_total" ["source", "kind", "result"]
        "Events that sources received, by what became of them: accepted, duplicate, or rejected because they could not be read";
    UNROUTED: Counter "incident_sink_unrouted_events_total" ["source"]
        "Accepted events that no action sends anywhere";
    REFUSED_BATCHES: Counter "incident_sink_refused_batches_total" ["source", "reason"]
        "Batches that were not taken in, so that their sender has to come again, by reason: outbox or stopping";

    BACKLOG: Gauge "incident_sink_backlog_events" ["connector"]
        "Events that wait for a connector, without those of the message in progress";
    OLDEST: Gauge "incident_sink_backlog_oldest_age_seconds" ["connector"]
        "How long the oldest waiting event of a connector has waited; 0 if none waits";
    IN_FLIGHT: Gauge "incident_sink_in_flight_events" ["connector"]
        "Events in the message that is being delivered to a connector or tried again";
    DEAD: Gauge "incident_sink_dead_letters" ["connector"]
        "Dead letters that are kept: messages that are not tried again by themselves";
    DEAD_TOTAL: Counter "incident_sink_dead_letters_total" ["connector", "code"]
        "Messages that became dead letters, by the code of the reason";
    MESSAGES: Counter "incident_sink_messages_total" ["connector", "outcome"]
        "Messages that were settled: delivered or dead";
    DELIVERED_EVENTS: Counter "incident_sink_delivered_events_total" ["connector"]
        "Events that were delivered; one message may cover several";
    ATTEMPTS: Counter "incident_sink_attempts_total" ["connector", "outcome"]
        "Attempts to deliver a message: delivered, retry, throttled, rejected, unknown, or fault where the sink could not write it";
    ATTEMPT_ERRORS: Counter "incident_sink_attempt_errors_total" ["connector", "code"]
        "Attempts that did not deliver, by the receiver's code or a word of the host; beyond 64 different codes: other";
    ATTEMPT_SECONDS: Histogram "incident_sink_attempt_duration_seconds" []
        "How long an attempt took, the receiver's answer included";
    DELAY: Histogram "incident_sink_delivery_delay_seconds" []
        "From the acceptance of a delivered message's oldest event to the receiver's answer";
    LANE_FAILURES: Counter "incident_sink_lane_failures_total" ["reason"]
        "Turns of lanes that failed and were begun again, by reason: outbox or panic";
    LANES: Gauge "incident_sink_busy_lanes" []
        "Connectors that have something to deliver now";
    CONNECTORS: Gauge "incident_sink_connectors" []
        "Connectors in the config";
    CLOSED_UNTIL: Gauge "incident_sink_lane_closed_until_timestamp_seconds" ["connector"]
        "Until when a receiver wants to be left alone, as a Unix time; 0 while its lane is open";
    WINDOW: Gauge "incident_sink_window_messages" ["connector"]
        "Messages sent to a connector within the window of its pace";
    WINDOW_LIMIT: Gauge "incident_sink_window_limit_messages" ["connector"]
        "Messages that the pace of a connector allows within its window";
    MONTH: Gauge "incident_sink_month_messages" ["connector"]
        "Messages sent to a connector this calendar month, in the connector's time zone";
    BUDGET: Gauge "incident_sink_budget_messages" ["connector"]
        "Messages that a connector with a monthly budget may send in a month";
    BUDGET_LEFT: Gauge "incident_sink_budget_left_messages" ["connector"]
        "Messages that are left of the monthly budget, which several connectors of one account share";

    OUTBOX_COMMIT: Histogram "incident_sink_outbox_commit_duration_seconds" []
        "How long a transaction of the outbox took, sync to disk included";
    OUTBOX_GROUP: Histogram "incident_sink_outbox_group_jobs" []
        "How many jobs one transaction of the outbox wrote";
    OUTBOX_FAILURES: Counter "incident_sink_outbox_failures_total" []
        "Transactions of the outbox that failed";
    READY: Gauge "incident_sink_ready" []
        "Whether events can be taken in: 1 or 0, as /readyz says";
    TROUBLES: Gauge "incident_sink_troubles" []
        "How many things are out of order without keeping events out, as /readyz lists them";

    PLUGIN_INFO: Gauge "incident_sink_plugin_info" ["plugin", "version", "digest"]
        "The version of a plugin that is in use, with the begin of its SHA-256; always 1";
    PLUGIN_CANARY: Gauge "incident_sink_plugin_canary" ["plugin"]
        "Whether the version in use is still being watched: 1 or 0";
    PLUGIN_SWAPS: Counter "incident_sink_plugin_swaps_total" ["plugin", "result"]
        "Changes of a plugin's version: installed, refused, rolled_back on request, or taken_back by the host because it failed";
    PLUGIN_CALLS: Histogram "incident_sink_plugin_call_duration_seconds" ["plugin", "function"]
        "How long calls of a plugin's functions took, failed ones included";
    PLUGIN_FAULTS: Counter "incident_sink_plugin_faults_total" ["plugin", "fault"]
        "Calls of a plugin that failed: by a trap, by its own word, or at one of its limits (deadline, memory, stack, too-much-data, busy)";

    API_REQUESTS: Counter "incident_sink_ilert_requests_total" ["call", "result"]
        "Calls of iLert's API: accept, resolve, comment, get, log or list, by result";
    RESPONSES: Counter "incident_sink_responses_total" ["action", "result"]
        "What people asked for from the chat (accept, resolve, comment): done, failed, or retry for each attempt that is repeated";
    RECONCILES: Counter "incident_sink_reconcile_runs_total" ["result"]
        "Comparisons of iLert's open alerts with what was received: ok or failed";
    CAUGHT_UP: Counter "incident_sink_reconcile_events_total" []
        "Events that no webhook told of and that were caught up with";

    HTTP_REQUESTS: Counter "incident_sink_http_requests_total" ["server", "code"]
        "Requests answered by the public and the admin server, by status code";
    HTTP_SECONDS: Histogram "incident_sink_http_request_duration_seconds" ["server"]
        "From the head of a request to the begin of its answer";

    TRACE_SPANS: Counter "incident_sink_trace_spans_total" ["result"]
        "Spans for the collector of `[otlp]`: exported, failed because it refused them or was gone at the stop, dropped because too many waited";

    RELOADS: Counter "incident_sink_config_reloads_total" ["result"]
        "How often the config was read anew: changed, unchanged, or failed";
    RELOAD_OK: Gauge "incident_sink_config_last_reload_successful" []
        "Whether the config that was read last is in use: 1, or 0 while an earlier one is kept because it has errors";
    RELOAD_AT: Gauge "incident_sink_config_last_reload_success_timestamp_seconds" []
        "When the config in use was taken up, as a Unix time";
    RESTART_WANTED: Gauge "incident_sink_config_restart_needed" []
        "How many changed settings of the config wait for a restart";

    BUILD_INFO: Gauge "incident_sink_build_info" ["version"]
        "The version of this program; always 1";
    PROCESS_START: Gauge "process_start_time_seconds" []
        "When the process was started, as a Unix time";
    PROCESS_CPU: Counter "process_cpu_seconds_total" []
        "Processor time that the process has used";
    PROCESS_MEMORY: Gauge "process_resident_memory_bytes" []
        "Memory that the process has in use";
    PROCESS_FDS: Gauge "process_open_fds" []
        "Files and sockets that the process has open";
    PROCESS_MAX_FDS: Gauge "process_max_fds" []
        "Files and sockets that the process may have open";
}
