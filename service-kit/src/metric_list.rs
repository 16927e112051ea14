//! Every metric that the services have, each with what it tells: described to Prometheus, listed in docs/observability.md,
//! and known to the tests of dashboards and alerts.
//!
//! Invariant: what is not listed here is not measured; a test reads the sources, and another one looks at what running
//! services show.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often it was how much.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Which service has it.
    pub of: Of,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

/// Which service has a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Every one.
    All,
    /// `command-api`.
    CommandApi,
    /// `projectors`.
    Projectors,
    /// `query-api`.
    QueryApi,
}

impl Of {
    /// As the document says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::CommandApi => "command-api",
            Self::Projectors => "projectors",
            Self::QueryApi => "query-api",
        }
    }
}

const fn counter(of: Of, name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, of, labels, help }
}

const fn gauge(of: Of, name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, of, labels, help }
}

const fn histogram(of: Of, name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, of, labels, help }
}

/// One partition of one topic.
const PLACE: &[&str] = &["topic", "partition"];
const SHOW: &[&str] = &["show"];
const PROJECTION: &[&str] = &["projection"];

/// Requests, the process, and what a process says of itself.
const EVERYWHERE: &[Metric] = &[
    gauge(
        Of::All,
        "boxoffice_build_info",
        &["service", "instance_name", "version", "commit"],
        "Always 1; the labels say what runs.",
    ),
    gauge(Of::All, "boxoffice_ready", &[], "1 while the process says that it is ready, as /readyz does."),
    counter(
        Of::All,
        "http_requests_total",
        &["method", "route", "status"],
        "Requests answered; 499 where the client left.",
    ),
    histogram(
        Of::All,
        "http_request_duration_seconds",
        &["method", "route"],
        "From a request's head to its answer's head.",
    ),
    gauge(Of::All, "http_connections", &[], "Connections of clients that are open."),
    counter(
        Of::All,
        "http_overloaded_total",
        &[],
        "Requests refused at the door with 503, because too many are under way.",
    ),
    counter(Of::All, "http_panics_total", &[], "Requests that panicked and were answered with 500."),
];

/// The process itself, as the operating system tells it.
const PROCESS: &[Metric] = &[
    counter(Of::All, "process_cpu_seconds_total", &[], "Processor time used."),
    gauge(Of::All, "process_resident_memory_bytes", &[], "Memory in use."),
    gauge(Of::All, "process_virtual_memory_bytes", &[], "Memory mapped."),
    gauge(Of::All, "process_virtual_memory_max_bytes", &[], "The most that may be mapped."),
    gauge(Of::All, "process_open_fds", &[], "Files and connections that are open."),
    gauge(Of::All, "process_max_fds", &[], "The most that may be open."),
    gauge(Of::All, "process_threads", &[], "Threads."),
    gauge(Of::All, "process_start_time_seconds", &[], "When the process began, in seconds since 1970."),
];

/// Owners of partitions, and what they append.
const OWNERS: &[Metric] = &[
    gauge(Of::CommandApi, "boxoffice_partitions_held", &[], "Partition numbers that are this instance's."),
    gauge(
        Of::CommandApi,
        "boxoffice_partitions_standing_by",
        &[],
        "Partition numbers of others that are kept ready here.",
    ),
    gauge(Of::CommandApi, "boxoffice_partition_serving", PLACE, "1 while this instance serves the partition."),
    gauge(
        Of::CommandApi,
        "boxoffice_partition_broken",
        PLACE,
        "1 if the partition stopped for good: a person has to look.",
    ),
    gauge(Of::CommandApi, "boxoffice_partition_term", PLACE, "The term of the claim that it serves under."),
    gauge(Of::CommandApi, "boxoffice_partition_next_offset", PLACE, "The offset behind the last record acknowledged."),
    gauge(Of::CommandApi, "boxoffice_partition_lag", PLACE, "Records to read before it can serve; 0 while it serves."),
    gauge(Of::CommandApi, "boxoffice_partition_waiting", PLACE, "Commands in the owner's mailbox."),
    gauge(
        Of::CommandApi,
        "boxoffice_partition_outbox",
        PLACE,
        "Events whose consequences are not all settled in the log.",
    ),
    gauge(Of::CommandApi, "boxoffice_partition_open_sends", PLACE, "Consequences that were sent and not answered yet."),
    gauge(
        Of::CommandApi,
        "boxoffice_partition_snapshot_age_seconds",
        PLACE,
        "Age of the newest snapshot; not a number without one.",
    ),
    gauge(
        Of::CommandApi,
        "boxoffice_partition_recovery_seconds",
        PLACE,
        "How long it took last to serve, from the start or a doubt.",
    ),
    counter(
        Of::CommandApi,
        "boxoffice_partition_void_total",
        PLACE,
        "Records read that do not count: of an old term, or doubled.",
    ),
    counter(
        Of::CommandApi,
        "boxoffice_partition_in_doubt_total",
        PLACE,
        "Callers told in-doubt, because an append was not acknowledged as it must be.",
    ),
    counter(Of::CommandApi, "boxoffice_appended_records_total", &[], "Records sent to Kafka."),
    counter(Of::CommandApi, "boxoffice_appended_bytes_total", &[], "Bytes of those records, about as on the wire."),
    histogram(Of::CommandApi, "boxoffice_append_seconds", &[], "From sending a batch until all of it is acknowledged."),
    histogram(Of::CommandApi, "boxoffice_batch_records", &[], "Records in one batch."),
    counter(
        Of::CommandApi,
        "boxoffice_owner_panics_total",
        &[],
        "Owners that panicked; their partition is broken here until a restart.",
    ),
    counter(
        Of::CommandApi,
        "boxoffice_producers_replaced_total",
        &[],
        "Kafka producers that could do no more and were replaced.",
    ),
    counter(Of::CommandApi, "boxoffice_snapshots_written_total", &[], "Snapshots written."),
    histogram(Of::CommandApi, "boxoffice_snapshot_seconds", &[], "How long writing a snapshot took."),
    counter(Of::CommandApi, "boxoffice_snapshot_failures_total", &[], "Snapshots that could not be written."),
    counter(
        Of::CommandApi,
        "boxoffice_snapshots_unusable_total",
        &[],
        "Snapshots passed over when a partition was loaded.",
    ),
];

/// Sagas, other instances, and what runs in the background.
const BEHIND: &[Metric] = &[
    counter(
        Of::CommandApi,
        "boxoffice_outbox_panics_total",
        &[],
        "Consequences of events that panicked; each is tried again.",
    ),
    counter(
        Of::CommandApi,
        "boxoffice_background_panics_total",
        &["task"],
        "Background work that panicked and began again.",
    ),
    counter(
        Of::CommandApi,
        "boxoffice_forwarded_total",
        &["led_to"],
        "Commands sent to another instance: led to an answer, or a failure.",
    ),
    counter(
        Of::CommandApi,
        "boxoffice_internal_rejected_total",
        &[],
        "Requests on internal routes that no instance of ours signed.",
    ),
];

/// The waiting room.
const QUEUE: &[Metric] = &[
    counter(
        Of::CommandApi,
        "boxoffice_queue_joins_refused_total",
        &["why"],
        "Joins of queues that were refused, and by which share.",
    ),
    histogram(
        Of::CommandApi,
        "boxoffice_queue_places_per_address",
        &[],
        "Places in a queue that one address has when it joins.",
    ),
    gauge(Of::Projectors, "boxoffice_queue_waiting", SHOW, "People waiting in a show's room."),
    gauge(Of::Projectors, "boxoffice_queue_outflow_per_min", SHOW, "People admitted in the last minute."),
    gauge(Of::Projectors, "boxoffice_queue_slots", SHOW, "Slots of the room: people who may order at the same time."),
    gauge(Of::Projectors, "boxoffice_queue_slots_in_use", SHOW, "Slots that somebody has."),
    gauge(Of::Projectors, "boxoffice_queue_oldest_waiting_seconds", SHOW, "How long the first in line has waited."),
    gauge(Of::Projectors, "boxoffice_queue_paused", SHOW, "1 while the organizer lets nobody in."),
    gauge(Of::Projectors, "boxoffice_queue_no_shows", SHOW, "People admitted who did not come, of all so far."),
];

/// Payments and money.
const MONEY: &[Metric] = &[
    gauge(Of::CommandApi, "boxoffice_open_payments", &[], "Payments and refunds that their providers are asked about."),
    histogram(
        Of::CommandApi,
        "boxoffice_provider_call_seconds",
        &["provider", "call", "outcome"],
        "Calls to payment providers; outcome done, or how it failed.",
    ),
    gauge(
        Of::CommandApi,
        "boxoffice_provider_breaker",
        &["provider"],
        "0 while calls are made, 1 while one tries, 2 while they pause.",
    ),
    counter(
        Of::CommandApi,
        "boxoffice_webhooks_rejected_total",
        &["provider"],
        "Webhooks turned away: not signed as they must be, or unreadable.",
    ),
    gauge(Of::QueryApi, "boxoffice_tickets", &["state"], "Tickets of all shows: held by orders, sold, available."),
    gauge(Of::QueryApi, "boxoffice_orders_stuck", &[], "Orders that do not get on by themselves."),
    gauge(
        Of::QueryApi,
        "boxoffice_money_open",
        &["status", "currency"],
        "Things of money not at rest: refund_pending, refund_due, quarantined.",
    ),
    gauge(Of::QueryApi, "boxoffice_money_open_minor", &["status", "currency"], "Their amount in minor units."),
    gauge(
        Of::QueryApi,
        "boxoffice_money_moved",
        &["status", "currency"],
        "Movements of the last hour: captured, quarantined, refund_requested, refunded.",
    ),
    gauge(Of::QueryApi, "boxoffice_money_moved_minor", &["status", "currency"], "Their amount in minor units."),
];

/// Read models, and who reads them.
const READING: &[Metric] = &[
    gauge(
        Of::Projectors,
        "projector_lag_records",
        &["projection", "partition"],
        "Records that a read model has still to write.",
    ),
    gauge(
        Of::Projectors,
        "projector_position_records",
        &["projection", "partition"],
        "Offset up to which the log is in the read model; how fast it grows is the read model's rate.",
    ),
    gauge(Of::Projectors, "projector_generation", PROJECTION, "Number of the generation that is filled."),
    gauge(Of::Projectors, "projector_paused", PROJECTION, "1 while a person has the read model paused."),
    counter(Of::Projectors, "projector_batches_total", PROJECTION, "Transactions written."),
    counter(Of::Projectors, "projector_events_total", PROJECTION, "Events folded and written."),
    counter(Of::Projectors, "projector_rows_total", PROJECTION, "Rows made or changed."),
    counter(Of::Projectors, "projector_void_records_total", PROJECTION, "Records that do not count, passed over."),
    counter(
        Of::Projectors,
        "projector_overtaken_total",
        PROJECTION,
        "Batches given up, because another instance was ahead.",
    ),
    counter(
        Of::Projectors,
        "projector_database_errors_total",
        PROJECTION,
        "Times that Postgres failed; it is tried again.",
    ),
    gauge(
        Of::Projectors,
        "projector_stopped_partitions",
        PROJECTION,
        "Partitions that a read model stopped at: a person has to look.",
    ),
    histogram(
        Of::Projectors,
        "projector_lag_seconds",
        PROJECTION,
        "From an event's append, by the broker's clock, to the commit of its rows; not counted while a read model is filled.",
    ),
    gauge(
        Of::Projectors,
        "projector_parked_keys",
        PROJECTION,
        "Keys that wait behind an event that cannot be folded: boxctl parked list.",
    ),
    gauge(Of::Projectors, "projector_parked_events", PROJECTION, "Events that wait in them."),
    counter(Of::Projectors, "projector_poison_events_total", PROJECTION, "Events found that cannot be folded."),
    counter(
        Of::Projectors,
        "projector_divided_total",
        PROJECTION,
        "Batches begun anew with less, to find such an event.",
    ),
    counter(Of::QueryApi, "boxoffice_reads_failed_total", &[], "Reads that Postgres did not answer."),
    counter(Of::QueryApi, "boxoffice_listen_failures_total", &[], "Times that notifications of Postgres broke off."),
    gauge(Of::QueryApi, "boxoffice_boards_cached", &[], "Boards of waiting rooms kept in memory."),
    gauge(Of::QueryApi, "boxoffice_event_streams", &[], "Event streams and WebSockets that are open."),
];

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    [EVERYWHERE, PROCESS, OWNERS, BEHIND, QUEUE, MONEY, READING].into_iter().flatten()
}

/// Tells the recorder of this process what each metric is.
pub(crate) fn describe() {
    for metric in all() {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

/// The table of docs/observability.md.
pub fn table() -> String {
    let row = |metric: &Metric| {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{}` | {kind} | {} | {} | {} |\n", metric.name, metric.of.name(), labels.join(", "), metric.help)
    };
    let head = "| metric | kind | service | labels | what it tells |\n|---|---|---|---|---|\n";
    head.to_owned() + &all().map(row).collect::<String>()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DOCUMENT: &str = include_str!("../../docs/observability.md");

    #[test]
    fn every_metric_is_listed_once_under_one_scheme_and_documented() {
        let names: BTreeSet<&str> = all().map(|metric| metric.name).collect();
        assert_eq!(names.len(), all().count(), "a name is listed twice");
        for Metric { name, kind, help, .. } in all() {
            let total = name.ends_with("_total");
            assert_eq!(total, *kind == Kind::Counter, "{name}: counters, and only they, end in _total");
            assert!(help.ends_with('.') && !help.contains('|'), "{name}: {help}");
        }
        assert!(DOCUMENT.contains(&table()), "docs/observability.md has not this table:\n{}", table());
    }
}
