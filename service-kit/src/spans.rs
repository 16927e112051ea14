//! The steps of traces that are recorded, and their way to the collector (OTLP).
//!
//! Invariant: what is not recorded costs a look at an `Option`. Sending never makes anybody wait: what a collector does not
//! take is dropped.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::trace::TraceContext;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor as _,
};

use crate::clock;
use crate::sampling::fresh_step;

/// Spans that wait to be sent, at most; more are dropped.
const WAITING: usize = 8192;
/// How often they are sent.
const EVERY: Duration = Duration::from_secs(1);
/// A collector that does not answer by then has not got them.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a process that ends waits for the last ones.
const FAREWELL: Duration = Duration::from_secs(3);

static SENDER: OnceLock<BatchSpanProcessor> = OnceLock::new();

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Answers somebody.
    Server,
    /// Asks somebody else.
    Client,
    /// Puts something in the log.
    Producer,
    /// Does what something in the log asks for.
    Consumer,
}

/// A step that is being recorded; it ends when it is dropped.
#[derive(Debug)]
pub struct Span(Option<Box<SpanData>>);

impl Span {
    /// Begins a step below this one; none where nothing is recorded.
    pub fn below(parent: Option<TraceContext>, kind: Kind, name: impl Into<Cow<'static, str>>) -> Option<Self> {
        let parent = parent?;
        Self::begin(parent.at(fresh_step()), Some(parent.span), kind, name)
    }

    /// Begins the step with this very name, below another one, if there is one.
    pub fn begin(
        own: TraceContext,
        parent: Option<u64>,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
    ) -> Option<Self> {
        (own.sampled && SENDER.get().is_some()).then(|| Self::new(own, parent, kind, name.into()))
    }

    fn new(own: TraceContext, parent: Option<u64>, kind: Kind, name: Cow<'static, str>) -> Self {
        let (trace, span) = (TraceId::from(own.trace), SpanId::from(own.span));
        let now = now();
        Self(Some(Box::new(SpanData {
            span_context: SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: parent.map_or(SpanId::INVALID, SpanId::from),
            parent_span_is_remote: true,
            span_kind: match kind {
                Kind::Server => SpanKind::Server,
                Kind::Client => SpanKind::Client,
                Kind::Producer => SpanKind::Producer,
                Kind::Consumer => SpanKind::Consumer,
            },
            name,
            start_time: now,
            end_time: now,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("boxoffice").build(),
        })))
    }

    /// Where it stands: what it leads to stands below.
    pub fn context(&self) -> TraceContext {
        let own = &self.0.as_ref().expect("it is taken when it is dropped").span_context;
        let (trace, span) = (own.trace_id(), own.span_id());
        TraceContext {
            trace: u128::from_be_bytes(trace.to_bytes()),
            span: u64::from_be_bytes(span.to_bytes()),
            sampled: true,
        }
    }

    /// Says something about it, by a name of docs/observability.md; never personal data.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(data) = &mut self.0 {
            data.attributes.push(KeyValue::new(name, value));
        }
    }

    /// It came to nothing.
    pub fn fail(&mut self, why: &'static str) {
        if let Some(data) = &mut self.0 {
            data.status = Status::error(why);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let (Some(sender), Some(mut data)) = (SENDER.get(), self.0.take()) {
            data.end_time = now();
            sender.on_end(*data);
        }
    }
}

/// Sends spans from now on. Once a process.
///
/// # Errors
/// The client cannot be made, or it was done before.
pub(crate) fn install(service: &'static str, instance: &str, endpoint: &str) -> anyhow::Result<()> {
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_endpoint(url).with_timeout(ANSWER).build()?;
    let config = BatchConfigBuilder::default().with_max_queue_size(WAITING).with_scheduled_delay(EVERY).build();
    let mut processor = BatchSpanProcessor::new(exporter, config);
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let instance = KeyValue::new("service.instance.id", instance.to_owned());
    let resource = Resource::builder_empty().with_service_name(service).with_attributes([version, instance]).build();
    processor.set_resource(&resource);
    SENDER.set(processor).map_err(|_| anyhow::anyhow!("spans are sent already"))
}

/// Sends what waits, bounded. Blocks: not to be called on a thread of the runtime.
pub fn flush() {
    if let Some(sender) = SENDER.get()
        && let Err(error) = sender.shutdown_with_timeout(FAREWELL)
    {
        tracing::warn!(%error, "the last spans were not sent");
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(clock::now().0).unwrap_or(0))
}
