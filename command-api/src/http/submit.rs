//! From a request to an owner and back: who asks, under which id, and what the outcome is called in HTTP.

use std::time::Duration;

use axum::extract::FromRequestParts;
use domain::ids::CommandId;
use domain::value::{Actor, Fingerprint};
use event_log::owner::{Answer, Outcome, Target};
use http::request::Parts;
use service_kit::caller::Caller;
use service_kit::idempotency::IdempotencyKey;
use service_kit::problem::{Kind, Problem};
use service_kit::{extract, random};
use uuid::Uuid;

use super::App;
use super::refusals::IntoProblem;
use crate::owners::{Held, Request};

/// A command that is not decided by then is not decided at all.
const WITHIN: Duration = Duration::from_secs(5);

/// Who asks, where, and under which key.
pub struct Asking {
    /// Who calls.
    pub caller: Caller,
    /// The `Idempotency-Key`, if there is one.
    pub key: Option<IdempotencyKey>,
    target: extract::Target,
}

impl FromRequestParts<App> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let key = <Option<IdempotencyKey> as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        let Ok(target) = extract::Target::from_request_parts(parts, app).await;
        Ok(Self { caller, key, target })
    }
}

/// A write: by whom, under which id, with which body.
#[derive(Clone)]
pub struct Write {
    /// Who asks.
    pub by: Actor,
    /// What a repeat is recognised by.
    pub id: CommandId,
    hash: Fingerprint,
}

impl Write {
    /// A write of nobody outside.
    pub fn of(by: Actor, id: CommandId, hash: Fingerprint) -> Self {
        Self { by, id, hash }
    }
}

impl Asking {
    /// The write that an account or the holder of a token asks for.
    ///
    /// # Errors
    /// 401 without a token.
    pub fn write(&self, app: &App, hash: Fingerprint) -> Result<Write, Problem> {
        Ok(self.write_by(self.caller.actor()?, app, hash))
    }

    /// As `write`, where a key is needed because what is created has no name of its own.
    ///
    /// # Errors
    /// 401 without a token, 400 without a key.
    pub fn write_with_key(&self, app: &App, hash: Fingerprint) -> Result<Write, Problem> {
        let by = self.caller.actor()?;
        if self.key.is_none() {
            return Err(Problem::new(Kind::IdempotencyKeyMissing));
        }
        Ok(self.write_by(by, app, hash))
    }

    /// The write that this actor asks for. Without a key nothing is a repeat; the aggregate's own state decides.
    pub fn write_by(&self, by: Actor, app: &App, hash: Fingerprint) -> Write {
        let id = match &self.key {
            Some(key) => self.target.command_id(&app.0.keys, &by.principal(), key),
            None => CommandId(random::id()),
        };
        Write { by, id, hash }
    }
}

impl App {
    /// Sends a write to the aggregate's owner.
    ///
    /// # Errors
    /// The aggregate's refusal, or why it could not be decided, as a problem.
    pub(super) async fn submit<A: Held>(&self, to: Uuid, ask: A::Ask, write: &Write) -> Result<Answer<A>, Problem>
    where
        A::Error: IntoProblem,
    {
        match self.outcome::<A>(Target::Id(to), ask, write).await {
            Outcome::Refused(refusal) => Err(refusal.into_problem()),
            other => done(other),
        }
    }

    /// Sends a write and gives the bare outcome.
    pub(super) async fn outcome<A: Held>(&self, target: Target, ask: A::Ask, write: &Write) -> Outcome<A> {
        let correlation_id = random::id();
        let request = Request {
            ask,
            by: write.by.clone(),
            id: write.id,
            hash: write.hash,
            correlation_id,
            causation_id: write.id.0,
            within: Some(WITHIN),
        };
        self.0.owners.ask::<A>(target, request).await
    }

    /// Reads an aggregate for somebody, who is refused as for any other command.
    ///
    /// # Errors
    /// The aggregate's refusal, or why it could not be read, as a problem.
    pub(super) async fn look_for<A: Held>(&self, by: &Actor, id: Uuid, look: A::Ask) -> Result<A, Problem>
    where
        A::Error: IntoProblem,
    {
        let write = Write { by: by.clone(), id: CommandId(random::id()), hash: Fingerprint::default() };
        self.submit::<A>(id, look, &write).await.map(|answer| answer.state)
    }

    /// Reads an aggregate of ours, as the system.
    ///
    /// # Errors
    /// Why it could not be read, as a problem.
    pub(super) async fn look<A: Held>(&self, id: Uuid, look: A::Ask) -> Result<A, Problem>
    where
        A::Error: IntoProblem,
    {
        let write = Write { by: Actor::System, id: CommandId(random::id()), hash: Fingerprint::default() };
        match self.outcome::<A>(Target::Id(id), look, &write).await {
            Outcome::Refused(_) => Ok(A::default()),
            other => done(other).map(|answer| answer.state),
        }
    }
}

/// What was done, or why nobody knows or nothing was.
///
/// # Errors
/// The outcome as a problem; a refusal must have been dealt with before.
pub fn done<A: Held>(outcome: Outcome<A>) -> Result<Answer<A>, Problem> {
    let kind = match outcome {
        Outcome::Done(answer) => return Ok(*answer),
        Outcome::Refused(_) => Kind::Internal,
        Outcome::NoSuchSerial => Kind::NotFound,
        Outcome::KeyReused => Kind::IdempotencyKeyReused,
        Outcome::TooLarge => Kind::TooLarge,
        Outcome::TooLate | Outcome::NotServed | Outcome::Broken => Kind::NotReady,
        Outcome::Overloaded => Kind::Overloaded,
        Outcome::InDoubt => Kind::InDoubt,
    };
    Err(Problem::new(kind))
}
