//! Logs, metrics and traces of a process.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::config::{Log, LogFormat, Tracing};
use crate::{metric_list, sampling, spans};

/// Upper bounds of every histogram of seconds: from an append's 0.1 ms to a long wait.
const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// Upper bounds of how far behind read models are, finer: from the clock's grain to a minute.
const LAGS: [f64; 24] = [
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5,
    2.0, 3.0, 5.0, 10.0, 60.0,
];

/// Upper bounds of every histogram of people behind one address: from one to a mobile network's.
const HEADS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 10_000.0];

/// Upper bounds of every histogram of records in a batch.
const RECORDS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0];

/// The metrics of this process, ready to be scraped; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    /// Of the process itself: processor, memory, files.
    process: Option<Collector>,
}

impl Metrics {
    /// Installs the recorder that the `metrics` macros write to.
    ///
    /// # Errors
    /// If there is one already.
    pub fn install(service: &'static str, instance: &str) -> anyhow::Result<Self> {
        let handle = builder()?.install_recorder()?;
        let upkeep = handle.clone();
        // Without a scrape nothing would drain the histograms' buffers.
        std::thread::Builder::new().name("metrics-upkeep".to_owned()).spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(5));
                upkeep.run_upkeep();
            }
        })?;
        let labels = [
            ("service", service.to_owned()),
            ("instance_name", instance.to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("commit", option_env!("BOXOFFICE_COMMIT").unwrap_or("unknown").to_owned()),
        ];
        metric_list::describe();
        let process = Collector::default();
        process.describe();
        metrics::gauge!("boxoffice_build_info", &labels).set(1.0);
        Ok(Self { handle, process: Some(process) })
    }

    /// Metrics that nothing is recorded in, for tests of routers.
    ///
    /// # Panics
    /// Never, as long as the bounds of the histograms are not empty.
    pub fn detached() -> Self {
        let handle = builder().expect("the bounds are not empty").build_recorder().handle();
        Self { handle, process: None }
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self) -> String {
        if let Some(process) = &self.process {
            process.collect();
        }
        self.handle.render()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

fn builder() -> anyhow::Result<PrometheusBuilder> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?;
    let builder = builder.set_buckets_for_metric(Matcher::Full("projector_lag_seconds".to_owned()), &LAGS)?;
    let builder = builder.set_buckets_for_metric(Matcher::Suffix("_batch_records".to_owned()), &RECORDS)?;
    Ok(builder.set_buckets_for_metric(Matcher::Suffix("_per_address".to_owned()), &HEADS)?)
}

/// Starts logs, metrics and traces, and has panics logged. Once a process, first of all; where it makes a client for a
/// collector, after the one thing that every TLS client needs.
///
/// # Errors
/// If it was done before.
pub fn init(service: &'static str, instance: &str, log: &Log, tracing: &Tracing) -> anyhow::Result<Metrics> {
    tracing::subscriber::set_global_default(subscriber(service, instance, log, io::stdout))?;
    log_panics();
    if let Some(endpoint) = &tracing.endpoint {
        spans::install(service, instance, endpoint)?;
    }
    sampling::install(tracing);
    crate::about::set(service, instance);
    Metrics::install(service, instance)
}

/// Log lines to a writer.
fn subscriber<W>(service: &str, instance: &str, log: &Log, writer: W) -> impl tracing::Subscriber + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse_lossy(&log.filter);
    let text = match log.format {
        LogFormat::Auto => io::stdout().is_terminal(),
        LogFormat::Json => false,
        LogFormat::Text => true,
    };
    let layer = if text {
        fmt::layer().with_writer(writer).with_ansi(io::stdout().is_terminal()).boxed()
    } else {
        let writer = Labelled::new(writer, service, instance);
        fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(writer).boxed()
    };
    tracing_subscriber::registry().with(layer.with_filter(filter))
}

/// A panic is a line of the log like any other.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        tracing::error!(panic.message = message, panic.place = place, thread, "panicked");
    }));
}

/// Puts the service's and the instance's name into every JSON line: the formatter has no fields of its own.
struct Labelled<W> {
    writer: W,
    head: Vec<u8>,
}

impl<W> Labelled<W> {
    fn new(writer: W, service: &str, instance: &str) -> Self {
        let labels = serde_json::json!({"service": service, "instance": instance}).to_string();
        Self { writer, head: format!("{},", labels.trim_end_matches('}')).into_bytes() }
    }
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Labelled<W> {
    type Writer = LabelledLine<'a, W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        LabelledLine { writer: self.writer.make_writer(), head: &self.head }
    }
}

/// One line; the formatter hands it over whole.
struct LabelledLine<'a, W> {
    writer: W,
    head: &'a [u8],
}

impl<W: Write> Write for LabelledLine<'_, W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match line.split_first() {
            Some((b'{', rest)) => self.writer.write_all(&[self.head, rest].concat())?,
            _ => self.writer.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    /// Keeps what is logged.
    #[derive(Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        pub(crate) fn lines(&self) -> Vec<Value> {
            self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }

        pub(crate) fn subscriber(&self, filter: &str) -> impl tracing::Subscriber + use<> {
            let log = Log { filter: filter.to_owned(), format: LogFormat::Json };
            let captured = self.clone();
            subscriber("test-api", "i-1", &log, move || captured.clone())
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_json_line_has_service_instance_message_fields_and_span() {
        let captured = Captured::default();
        tracing::subscriber::with_default(captured.subscriber("info"), || {
            let _span = tracing::info_span!("request", request.id = "r-1").entered();
            tracing::info!(order.id = "o-1", "reserved \"two\"");
            tracing::debug!("not shown");
        });
        let lines = captured.lines();
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        assert_eq!((&line["service"], &line["instance"]), (&"test-api".into(), &"i-1".into()));
        assert_eq!((&line["message"], &line["order.id"]), (&"reserved \"two\"".into(), &"o-1".into()));
        assert_eq!((&line["level"], &line["span"]["request.id"]), (&"INFO".into(), &"r-1".into()));
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn histograms_of_seconds_have_buckets() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || metrics::histogram!("x_seconds").record(0.003));
        let text = recorder.handle().render();
        assert!(text.contains("x_seconds_bucket{le=\"0.0025\"} 0"), "{text}");
        assert!(text.contains("x_seconds_bucket{le=\"0.005\"} 1"), "{text}");
    }
}
