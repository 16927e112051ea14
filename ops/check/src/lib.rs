//! Recomputes a box office's laws from the log itself, from Postgres, and from the payment provider's statement.
//!
//! It shares with the services how records are judged and decoded, and nothing of what they mean: sums of its own.

mod boards;
#[cfg(test)]
mod book;
pub mod chronicle;
mod facts;
pub mod history;
mod judge;
mod laws;
pub mod log;
pub mod models;
mod postgres;
mod queue;
mod read;
mod records;
mod report;
#[cfg(any(test, feature = "fixtures"))]
pub mod rooms;
mod sales;
mod statement;
pub mod steps;
mod stock;
mod sums;
pub mod terms;
#[cfg(test)]
mod tests;

pub use boards::{BoardRow, Boards, from_postgres as boards_from_postgres};
pub use facts::{Facts, Logged};
pub use laws::{Purse, always, check as from_facts, promised, purses};
pub use log::Counts;
pub use postgres::from_postgres;
pub use queue::{At, Draw, Placed, Queues, Room, Visitor, hash_of};
pub use read::{from_log, from_log_beside, from_log_with};
pub use report::{Faults, Law, Report, money};
pub use sales::{Key, Movement, Order, Payment, Refund, Sales};
pub use statement::{Transfer, compare as compare_statement, fetch as fetch_statement};
pub use stock::{Class, Hold, HoldState, Stock};
pub use sums::{Sums, compare};

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::log::Log;
use event_log::topics;
use history::{Call, Ended, Margins};
use local_stack::Endpoints;
use models::Folding;
use schemas::{Codec, Registry};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::time::{Instant, sleep, timeout};

/// The stack has to answer within so long.
const ANSWER: Duration = Duration::from_secs(30);
/// Between two looks at a box office that has not come to rest.
const STEP: Duration = Duration::from_millis(500);

/// What a client was promised: orders that were acknowledged, and tickets that were handed out.
#[derive(Debug, Clone, Default)]
pub struct Promised {
    /// Every order that was answered with 200 or 201.
    pub orders: Vec<Key>,
    /// Every ticket that was handed out, with its order.
    pub tickets: Vec<(domain::ids::OrderId, domain::ids::TicketId)>,
}

/// What a run must have been through, so that it proves something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expected {
    /// Somebody wrote under a term that was over, and it did not count.
    pub fenced: bool,
    /// Somebody was not told what became of a write.
    pub in_doubt: bool,
}

/// A box office that can be checked; connections are kept between checks.
pub struct Checker {
    log: Arc<dyn Log>,
    codec: Codec,
    pool: PgPool,
    http: reqwest::Client,
    namespace: String,
    partitions: u32,
    sandbox_url: Option<String>,
    history: Option<History>,
    expected: Expected,
    row_by_row: bool,
}

/// A client history, and how well its clock agrees with the log's.
struct History {
    calls: Vec<Call>,
    margins: Margins,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checker").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Holds if the run was through what it should have been through; none if nothing was expected.
pub fn expected(expected: Expected, facts: &Facts, calls: Option<&[Call]>) -> Option<Law> {
    let Expected { fenced, in_doubt } = expected;
    let fenced_off = facts.counts().old_term;
    let doubts = Ended::of(calls.unwrap_or_default()).in_doubt;
    let mut faults = Faults::default();
    if fenced && fenced_off == 0 {
        faults.add("nothing was fenced: no record lies in the log under a term that was over");
    }
    if in_doubt && calls.is_none() {
        faults.add("nobody can tell whether anything was in doubt: there is no history");
    } else if in_doubt && doubts == 0 {
        faults.add("nothing was in doubt");
    }
    let numbers = format!("{fenced_off} records fenced, {doubts} calls in doubt");
    (fenced || in_doubt).then(|| Law::new("the run was not void", numbers, faults))
}

impl Checker {
    /// Connects. Without a sandbox there is no statement to be compared.
    ///
    /// # Errors
    /// The stack does not answer within 30 s, or its topics are not ours.
    pub async fn connect(
        endpoints: &Endpoints,
        namespace: &str,
        partitions: u32,
        sandbox_url: Option<&str>,
    ) -> anyhow::Result<Self> {
        let kafka = KafkaSettings::new(&endpoints.kafka, namespace, "boxctl-check");
        let ids = timeout(ANSWER, topics::check(&kafka, &endpoints.registry, partitions));
        let ids = ids.await.context("Kafka or the registry does not answer")??;
        let codec = Codec::new(ids, Registry::new(&endpoints.registry)?);
        let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(ANSWER).connect_lazy(&endpoints.postgres)?;
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER).build().context("make an HTTP client")?;
        let log: Arc<dyn Log> = Arc::new(KafkaLog::connect(kafka)?);
        let (namespace, sandbox_url) = (namespace.to_owned(), sandbox_url.map(str::to_owned));
        let (history, expected, row_by_row) = (None, Expected::default(), true);
        Ok(Self { log, codec, pool, http, namespace, partitions, sandbox_url, history, expected, row_by_row })
    }

    /// Also holds this history against the log: everything its clients asked of these shows has to be in it.
    #[must_use]
    pub fn with_history(self, calls: Vec<Call>, margins: Margins) -> Self {
        Self { history: Some(History { calls, margins }), ..self }
    }

    /// Leaves the rows of the read models alone but for their sums: every row has to fit into memory otherwise.
    #[must_use]
    pub fn sums_only(self) -> Self {
        Self { row_by_row: false, ..self }
    }

    /// Also fails if this did not happen.
    #[must_use]
    pub fn expecting(self, expected: Expected) -> Self {
        Self { expected, ..self }
    }

    /// Checks once, as things are now.
    ///
    /// # Errors
    /// Something does not answer.
    pub async fn check(&self, promised_to: Option<&Promised>) -> anyhow::Result<(Report, Facts)> {
        let boards = boards_from_postgres(&self.pool, &self.namespace).await.context("ask Postgres for the boards")?;
        let boards = Boards::of(boards);
        let mut models = self.models().await?;
        let facts =
            from_log_beside(Arc::clone(&self.log), &self.codec, self.partitions, boards, models.as_mut()).await?;
        let mut report = from_facts(&facts);
        report.laws.push(facts.boards.law(&facts.queues.rooms));
        report.laws.extend(models.map(Folding::law));
        if let Some(Promised { orders, tickets }) = promised_to {
            report.laws.push(promised(&facts, orders, tickets));
        }
        if let Some(History { calls, margins }) = &self.history {
            report.laws.extend(history::laws(&facts, calls, *margins));
        }
        let calls = self.history.as_ref().map(|history| &history.calls[..]);
        report.laws.extend(expected(self.expected, &facts, calls));
        let views = from_postgres(&self.pool, &self.namespace).await.context("ask Postgres")?;
        report.laws.push(compare(&Sums::of(&facts), &views));
        if let Some(url) = &self.sandbox_url {
            let transfers = fetch_statement(&self.http, url).await?;
            report.laws.push(compare_statement(&facts, &transfers));
        }
        Ok((report, facts))
    }

    /// Every row as it is now, before the log is read, so that the log has all that the rows hold.
    async fn models(&self) -> anyhow::Result<Option<Folding>> {
        if !self.row_by_row {
            return Ok(None);
        }
        let stored = models::from_postgres(&self.pool, &self.namespace).await.context("ask Postgres for its rows")?;
        Ok(Some(Folding::of(stored, &self.codec)))
    }

    /// Checks again and again until every law holds and `at_rest` is satisfied, or the time is over; gives the last
    /// report. While orders are under way, laws about several topics may be broken for a moment.
    ///
    /// # Errors
    /// Something does not answer until the time is over.
    pub async fn settle(
        &self,
        promised_to: Option<&Promised>,
        limit: Duration,
        at_rest: impl Fn(&Facts) -> bool,
    ) -> anyhow::Result<(Report, Facts)> {
        let deadline = Instant::now() + limit;
        loop {
            let checked = self.check(promised_to).await;
            let done = matches!(&checked, Ok((report, facts)) if report.holds() && at_rest(facts));
            if done || Instant::now() >= deadline {
                return checked;
            }
            sleep(STEP).await;
        }
    }
}
