//! One visitor in the waiting room: joins, waits for the turn, enters, or does one of the things that people do instead.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::StreamExt as _;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;
use service_kit::views::{QueueEntered, QueuePlace, QueueStatus};
use service_kit::{clock, random};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::Scene;
use super::plan::{Manner, Plan};
use super::shop::{Answer, Ask, EventStream};
use super::tally::{Step, bump};

/// A visitor comes again so often, after having missed the turn.
const TRIES: u32 = 5;
/// After so long, and longer each time.
const COMES_AGAIN: Duration = Duration::from_secs(3);
/// Nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two tries to follow a stream that broke.
const AGAIN: Duration = Duration::from_millis(500);
/// Who leaves does so after at most so long.
const LEAVES_WITHIN_MS: u64 = 4000;

/// What a visit to the waiting room led to.
#[derive(Debug)]
pub enum Visit {
    /// Entered: may order.
    Entered(Box<Pass>),
    /// Everything was sold meanwhile.
    SoldOut,
    /// Left while waiting.
    Left,
    /// Was admitted and did not come.
    NeverEntered,
    /// Entered, and left or went silent without an order.
    NeverOrdered,
}

/// The right to place one order.
#[derive(Debug, Clone)]
pub struct Pass {
    /// What an order is placed with.
    pub token: String,
    /// When that ends.
    pub ends: Timestamp,
    /// The place, to give it up.
    place: QueuePlace,
}

/// How waiting ended.
#[derive(Debug)]
enum Turn {
    Admitted,
    Missed,
    SoldOut,
    TimeToLeave,
}

/// A visitor at work.
#[derive(Debug)]
pub struct Visitor<'a> {
    scene: &'a Arc<Scene>,
    plan: &'a Plan,
    account: Option<&'a str>,
}

impl<'a> Visitor<'a> {
    /// `account` is a bearer token for who has one.
    pub fn new(scene: &'a Arc<Scene>, plan: &'a Plan, account: Option<&'a str>) -> Self {
        Self { scene, plan, account }
    }

    /// Plays the visit to its end. Who missed the turn by no fault of its own comes again.
    ///
    /// # Errors
    /// Something happened that should not.
    pub async fn visit(&self) -> anyhow::Result<Visit> {
        for again in 0..TRIES {
            sleep(COMES_AGAIN * again).await;
            let mut place = self.join().await?;
            let turn = match self.plan.manner {
                Manner::LeavesWaiting => self.wait_until(&mut place, self.leaves_at()).await?,
                _ => self.wait(&mut place).await?,
            };
            match (turn, self.plan.manner) {
                (Turn::SoldOut, _) => return self.leave(&place).await.map(|()| Visit::SoldOut),
                (Turn::TimeToLeave | Turn::Admitted, Manner::LeavesWaiting) => {
                    return self.leave(&place).await.map(|()| Visit::Left);
                }
                (Turn::Admitted, Manner::NeverEnters) => return self.lapse(place).await,
                (Turn::Admitted, _) => match self.enter(&place).await? {
                    Some(pass) => return self.entered(pass).await,
                    None => bump(&self.scene.tally.counters.missed),
                },
                (Turn::Missed | Turn::TimeToLeave, _) => bump(&self.scene.tally.counters.missed),
            }
        }
        bail!("the turn was missed {TRIES} times")
    }

    /// Gives the place up; whoever waits behind comes sooner.
    ///
    /// # Errors
    /// It is refused.
    pub async fn give_up(&self, pass: &Pass) -> anyhow::Result<()> {
        self.leave(&pass.place).await
    }

    async fn entered(&self, pass: Pass) -> anyhow::Result<Visit> {
        match self.plan.manner {
            Manner::EntersAndLeaves => {
                sleep(Duration::from_secs(1)).await;
                self.leave(&pass.place).await.map(|()| Visit::NeverOrdered)
            }
            Manner::EntersAndGoesSilent => Ok(Visit::NeverOrdered),
            Manner::Orders | Manner::LeavesWaiting | Manner::NeverEnters => Ok(Visit::Entered(Box::new(pass))),
        }
    }

    async fn join(&self) -> anyhow::Result<QueuePlace> {
        let since = clock::monotonic();
        // A guest's key stands for the guest, so nobody else has it.
        let key = random::opaque_id().to_string();
        let path = self.path("");
        let body = json!({});
        let ask = Ask {
            method: Some(&Method::POST),
            path: &path,
            body: Some(&body),
            key: Some(&key),
            bearer: self.account,
            ..Ask::default()
        };
        let answer = self.scene.shop.ask(ask).await?;
        let place: QueuePlace = answer.read().context("join the queue")?;
        self.scene.tally.took(Step::Join, since.elapsed());
        bump(&self.scene.tally.counters.queued);
        Ok(place)
    }

    async fn wait(&self, place: &mut QueuePlace) -> anyhow::Result<Turn> {
        match self.wait_until(place, Instant::now() + PATIENCE).await? {
            Turn::TimeToLeave => bail!("number {} waited for {} s", place.number, PATIENCE.as_secs()),
            turn => Ok(turn),
        }
    }

    /// Waits for the turn, as people do: asking, or watching a page that is told.
    async fn wait_until(&self, place: &mut QueuePlace, leaves: Instant) -> anyhow::Result<Turn> {
        if self.plan.streams { self.watch(place, leaves).await } else { self.poll(place, leaves).await }
    }

    async fn poll(&self, place: &mut QueuePlace, leaves: Instant) -> anyhow::Result<Turn> {
        loop {
            if let Some(turn) = self.turn(place)? {
                return Ok(turn);
            }
            let asked = Duration::from_millis(u64::try_from(place.poll_after_ms).unwrap_or(1000));
            tokio::select! {
                () = sleep(asked) => {}
                () = sleep_until(leaves) => return Ok(Turn::TimeToLeave),
                () = self.scene.board.over() => return Ok(Turn::SoldOut),
            }
            match self.look(place).await? {
                Some(fresh) => *place = fresh,
                None => return Ok(Turn::Missed),
            }
        }
    }

    async fn watch(&self, place: &mut QueuePlace, leaves: Instant) -> anyhow::Result<Turn> {
        loop {
            let path =
                format!("{}?queue_ticket={}", self.path(&format!("/{}/events", place.session)), place.queue_ticket);
            // Whoever cannot be followed is asked, and followed again.
            let Ok(mut events) = self.scene.shop.events(&path).await else {
                sleep(AGAIN).await;
                match self.look(place).await? {
                    Some(fresh) => *place = fresh,
                    None => return Ok(Turn::Missed),
                }
                continue;
            };
            if let Some(turn) = self.follow(&mut events, place, leaves).await? {
                return Ok(turn);
            }
            bump(&self.scene.tally.counters.streams_again);
            sleep(AGAIN).await;
        }
    }

    /// `None` once the stream breaks.
    async fn follow(
        &self,
        events: &mut EventStream,
        place: &mut QueuePlace,
        leaves: Instant,
    ) -> anyhow::Result<Option<Turn>> {
        loop {
            if let Some(turn) = self.turn(place)? {
                return Ok(Some(turn));
            }
            let event = tokio::select! {
                event = timeout_at(leaves, events.next()) => event,
                () = self.scene.board.over() => return Ok(Some(Turn::SoldOut)),
            };
            match event {
                Err(_) => return Ok(Some(Turn::TimeToLeave)),
                Ok(None) => return Ok(None),
                Ok(Some((name, data))) if name == "status" => {
                    *place = serde_json::from_str(&data).context("read an event of the queue")?;
                }
                Ok(Some(_)) => {}
            }
        }
    }

    /// What the status means; `None` while one has to wait.
    fn turn(&self, place: &QueuePlace) -> anyhow::Result<Option<Turn>> {
        match place.status {
            QueueStatus::WaitingToOpen | QueueStatus::Queued => Ok(None),
            // Only after an answer to entering was lost.
            QueueStatus::Admitted | QueueStatus::InCheckout => Ok(Some(Turn::Admitted)),
            QueueStatus::Expired => Ok(Some(Turn::Missed)),
            QueueStatus::Completed | QueueStatus::Left => {
                bail!("number {} waits, and its place is {:?}", place.number, place.status)
            }
        }
    }

    /// The status now; `None` once the place is lost.
    async fn look(&self, place: &QueuePlace) -> anyhow::Result<Option<QueuePlace>> {
        let since = clock::monotonic();
        let path = self.path(&format!("/{}", place.session));
        let ticket = Some(place.queue_ticket.as_str());
        let answer = self.scene.shop.ask(Ask { path: &path, ticket, ..Ask::default() }).await?;
        if answer.is("queue-place-lost") {
            return Ok(None);
        }
        self.scene.tally.took(Step::Status, since.elapsed());
        answer.read().with_context(|| format!("GET {path}")).map(Some)
    }

    /// Enters. `None` if that was too late.
    async fn enter(&self, place: &QueuePlace) -> anyhow::Result<Option<Pass>> {
        let since = clock::monotonic();
        let answer = self.with_place(&Method::POST, place, "/enter").await?;
        if answer.is("queue-place-lost") {
            return Ok(None);
        }
        let entered: QueueEntered = answer.read().context("enter")?;
        self.scene.tally.took(Step::Enter, since.elapsed());
        bump(&self.scene.tally.counters.entered);
        Ok(Some(Pass { token: entered.checkout_token, ends: entered.checkout_expires_at, place: place.clone() }))
    }

    async fn leave(&self, place: &QueuePlace) -> anyhow::Result<()> {
        let answer = self.with_place(&Method::DELETE, place, "").await?;
        ensure!(answer.status.as_u16() == 204, "leaving was refused: {} {}", answer.status, answer.body);
        Ok(())
    }

    /// Lets the turn go by.
    async fn lapse(&self, mut place: QueuePlace) -> anyhow::Result<Visit> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.look(&place).await? {
                // Another query-api may be a moment behind the one that told of the admission; the first are admitted as soon
                // as the draw is made.
                Some(fresh)
                    if matches!(
                        fresh.status,
                        QueueStatus::Admitted | QueueStatus::Queued | QueueStatus::WaitingToOpen
                    ) =>
                {
                    place = fresh;
                }
                Some(fresh) if fresh.status != QueueStatus::Expired => {
                    bail!("number {} did not enter, and is {:?}", fresh.number, fresh.status);
                }
                Some(_) | None => return Ok(Visit::NeverEntered),
            }
            sleep(Duration::from_secs(1)).await;
        }
        bail!("number {} never entered, and its slot does not end", place.number)
    }

    async fn with_place(&self, method: &Method, place: &QueuePlace, what: &str) -> anyhow::Result<Answer> {
        let (path, key) = (self.path(&format!("/{}{what}", place.session)), random::opaque_id().to_string());
        let (body, ticket) = (json!({}), Some(place.queue_ticket.as_str()));
        let ask =
            Ask { method: Some(method), path: &path, body: Some(&body), key: Some(&key), ticket, ..Ask::default() };
        self.scene.shop.ask(ask).await
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/shows/{}/queue{rest}", self.scene.stage.show)
    }

    fn leaves_at(&self) -> Instant {
        Instant::now() + Duration::from_millis(500 + random::below(LEAVES_WITHIN_MS))
    }
}
