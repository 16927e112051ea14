//! The write side of one test in this process: its routes, its owners, its sagas.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use domain::ids::CommandId;
use domain::queue::{self, Slot, WaitingRoom};
use domain::value::{Actor, Fingerprint, Role};
use event_log::memory::MemoryLog;
use event_log::owner::{Outcome, Target};
use http::{HeaderMap, Method, StatusCode};
use schemas::Codec;
use schemas::sealed::MasterKey;
use serde_json::{Value, json};
use service_kit::auth::{Auth, NewToken, mint_bearer};
use service_kit::config::{Env, Secrets};
use service_kit::health::Health;
use service_kit::idempotency::{IdempotencyKey, command_id};
use service_kit::operations::Operations;
use service_kit::telemetry::Metrics;
use service_kit::{clock, random};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::config::Config;
use crate::effects::Effects;
use crate::http::{App, Joins, routes};
use crate::outbox;
use crate::owners::{Owners, Request, Setup};
use crate::payments::{Gateways, PaymentGateway};
use crate::person_keys::tests::Kept;
use crate::person_keys::{KeyPool, KeyStore};

use super::patient::Patient;

/// What comes of itself comes within this.
const SOON: Duration = Duration::from_secs(15);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:#?}");
        self
    }

    #[track_caller]
    pub fn problem(self, status: u16, name: &str) -> Self {
        assert_eq!(self.body["type"], format!("/problems/{name}"), "{self:#?}");
        self.is(status)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn replayed(&self) -> bool {
        self.header("idempotency-replayed") == Some("true")
    }

    #[track_caller]
    pub fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no {field} in {self:#?}")).to_owned()
    }
}

/// A request to be sent.
pub struct Call(http::request::Builder, Value);

impl Call {
    #[must_use]
    pub fn with(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value), self.1)
    }

    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.with("idempotency-key", key)
    }

    #[must_use]
    pub fn body(self, body: Value) -> Self {
        Self(self.0, body)
    }
}

pub fn call(method: Method, path: &str) -> Call {
    let request = http::Request::builder().method(method).uri(path).header("content-type", "application/json");
    Call(request, Value::Null)
}

pub fn post(path: &str) -> Call {
    call(Method::POST, path)
}

pub fn uuid() -> String {
    random::opaque_id().to_string()
}

/// The write side.
pub struct World {
    pub auth: Auth,
    router: Router,
    secrets: Secrets,
    owners: Arc<Owners>,
    background: CancellationToken,
}

/// A show on sale.
pub struct Stage {
    pub show: Uuid,
    /// Costs nothing.
    pub free: Uuid,
    /// Costs 1,000 VND.
    pub paid: Uuid,
}

impl Stage {
    pub fn queue(&self) -> String {
        format!("/v1/shows/{}/queue", self.show)
    }
}

/// A guest with a place.
pub struct Visitor {
    pub key: String,
    /// Of the queue.
    pub path: String,
    /// Of the place.
    pub place: String,
    pub ticket: String,
    pub joined: Answer,
}

impl World {
    pub fn start() -> Self {
        Self::with(true, &[], new_log(), Arc::new(Kept))
    }

    /// With some settings of its own.
    pub fn set(settings: &[(&'static str, &str)]) -> Self {
        Self::with(true, settings, new_log(), Arc::new(Kept))
    }

    /// Where nothing that events cause is carried out.
    pub fn without_sagas() -> Self {
        Self::with(false, &[], new_log(), Arc::new(Kept))
    }

    /// Over a log that others may have written, with keys of personal data kept there.
    pub fn over(log: MemoryLog, store: Arc<dyn KeyStore>) -> Self {
        Self::with(true, &[], log, store)
    }

    fn with(sagas: bool, settings: &[(&'static str, &str)], log: MemoryLog, store: Arc<dyn KeyStore>) -> Self {
        let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let environment: BTreeMap<_, _> = environment().into_iter().chain(settings).collect();
        let config = Env::from_map(environment).read(Config::read).unwrap();
        let log = Arc::new(log);
        let (collector, wanted) = outbox::collect();
        let owners = Owners::of_everything(Setup::alone(log, Codec::in_memory(), config.owners.clone(), collector));
        let patient: Arc<dyn PaymentGateway> = Arc::new(Patient::default());
        let gateways = Arc::new(Gateways::new("https://tickets.test").with(patient));
        let (keys, background) = (config.secrets.keys(), CancellationToken::new());
        let give_up = Duration::from_secs(60);
        let effects =
            Effects::new(Arc::clone(&owners), Arc::clone(&gateways), Arc::clone(&store), give_up, keys.clone());
        if sagas {
            let dispatch = outbox::dispatch(Arc::clone(&owners), Arc::new(effects), wanted);
            tokio::spawn(background.clone().run_until_cancelled_owned(dispatch));
        } else {
            std::mem::forget(wanted);
        }
        let pool = KeyPool::new(4);
        let master = MasterKey::new(*config.master_key.expose());
        tokio::spawn(Arc::clone(&pool).fill(store, master, Codec::in_memory(), background.clone()));
        let auth = config.secrets.auth();
        let app = App::new(Arc::clone(&owners), auth.clone(), keys, gateways, pool, Joins::new(config.joins), 60);
        let (router, openapi) = routes(app).split_for_parts();
        let operations =
            Operations { health: Health::default(), metrics: Metrics::detached(), auth: Some(auth.clone()) };
        let router = service_kit::http::router(operations, &config.common.http, router, openapi);
        Self { auth, router, secrets: config.secrets, owners, background }
    }

    pub async fn send(&self, call: Call) -> Answer {
        let body = if call.1.is_null() { Body::empty() } else { Body::from(call.1.to_string()) };
        let response = self.router.clone().oneshot(call.0.body(body).unwrap()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    /// A bearer token of an account.
    pub fn token(&self, subject: &str, role: Role) -> String {
        let (roles, expires) = (BTreeSet::from([role]), clock::now().plus_s(3600));
        let token = NewToken { subject, roles, expires, rules: self.secrets.rules() };
        mint_bearer(&self.secrets.signing_key().unwrap(), &token)
    }

    pub fn buyer(&self, name: &str) -> String {
        self.token(name, Role::Buyer)
    }

    /// A step of the organizer.
    pub async fn organize(&self, method: Method, path: &str, body: Value) -> Answer {
        self.send(call(method, path).bearer(&self.token("organizer", Role::Organizer)).body(body)).await
    }

    /// A show that is not published yet.
    pub async fn draft(&self, room: Value) -> Stage {
        let stage = Stage { show: random::opaque_id(), free: random::opaque_id(), paid: random::opaque_id() };
        let path = format!("/v1/shows/{}", stage.show);
        let show = json!({"name": "A show", "starts_at": "2030-01-01T19:00:00Z", "time_zone": "Asia/Ho_Chi_Minh",
            "venue": {"name": "A hall"}, "currency": "VND"});
        self.organize(Method::PUT, &path, show).await.is(201);
        for (class, amount) in [(stage.free, 0), (stage.paid, 1000)] {
            let body = json!({"name": "Standing", "price": {"amount": amount, "currency": "VND"}, "capacity": 100});
            self.organize(Method::PUT, &format!("{path}/ticket-classes/{class}"), body).await.is(201);
        }
        let configuration = json!({"checkout_url": "https://shop.test/checkout", "waiting_room": room});
        self.organize(Method::POST, &format!("{path}/configure"), configuration).await.is(200);
        stage
    }

    /// A show that is published; its waiting room and sales open soon, if there are sagas.
    pub async fn publish(&self, room: Value) -> Stage {
        let stage = self.draft(room).await;
        let path = format!("/v1/shows/{}", stage.show);
        let admin = self.token("admin", Role::Admin);
        self.send(post(&format!("{path}/approve")).bearer(&admin)).await.is(200);
        self.organize(Method::POST, &format!("{path}/publish"), Value::Null).await.is(200);
        stage
    }

    /// A guest takes a place, as soon as the waiting room is open.
    pub async fn join(&self, stage: &Stage) -> Visitor {
        let (key, path) = (uuid(), stage.queue());
        let ask = || async { self.send(post(&path).key(&key)).await };
        let joined = self.until(ask, |it| it.header("retry-after").is_none()).await.is(201);
        let place = format!("{path}/{}", joined.text("session"));
        Visitor { key, path, place, ticket: joined.text("queue_ticket"), joined }
    }

    /// How the place stands now.
    pub async fn look(&self, visitor: &Visitor) -> Answer {
        self.send(post(&visitor.path).key(&visitor.key)).await
    }

    /// Waits until the place stands so.
    pub async fn standing(&self, visitor: &Visitor, status: &str) -> Answer {
        self.until(|| self.look(visitor), |it| it.body["status"] == status).await
    }

    pub async fn enter(&self, visitor: &Visitor) -> Answer {
        self.send(post(&format!("{}/enter", visitor.place)).with("queue-ticket", &visitor.ticket)).await
    }

    pub async fn leave(&self, visitor: &Visitor) -> Answer {
        self.send(call(Method::DELETE, &visitor.place).with("queue-ticket", &visitor.ticket)).await
    }

    /// A guest joins, waits and enters.
    pub async fn admitted(&self, stage: &Stage) -> (Visitor, String) {
        let visitor = self.join(stage).await;
        self.standing(&visitor, "admitted").await;
        let token = self.enter(&visitor).await.is(200).text("checkout_token");
        (visitor, token)
    }

    /// Waits until the place's slot belongs to an order, which no visitor is told.
    pub async fn tied(&self, visitor: &Visitor) {
        let place = self.auth.queue_tickets().read(&visitor.ticket).unwrap();
        let key = IdempotencyKey::parse(&visitor.key).unwrap();
        let guest = command_id(&self.secrets.keys(), "guest", &Method::PUT, "/", &key).0;
        let begun = clock::monotonic();
        loop {
            let id = CommandId(random::id());
            // An answer tells whoever asks of their own place.
            let by = Actor::Guest { principal: format!("guest:{guest}") };
            let (ask, hash) = (queue::Command::Look, Fingerprint::default());
            let request = Request { ask, by, id, hash, correlation_id: id.0, causation_id: id.0, within: None };
            let outcome = self.owners.ask::<WaitingRoom>(Target::Id(place.show.0), request).await;
            let Outcome::Done(answer) = outcome else { panic!("{outcome:?}") };
            if let Some(Slot::InCheckout { order: Some(_), .. }) = answer.state.places().slot(place.number) {
                return;
            }
            assert!(begun.elapsed() < SOON, "no order came of the place");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks again until it is so.
    pub async fn until<F: Future<Output = Answer>>(&self, ask: impl Fn() -> F, so: impl Fn(&Answer) -> bool) -> Answer {
        let begun = clock::monotonic();
        loop {
            let answer = ask().await;
            if so(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < SOON, "it never came to be: {answer:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.background.cancel();
        self.owners.shut_down();
    }
}

/// An empty log.
pub fn new_log() -> MemoryLog {
    MemoryLog::auto(Arc::new(clock::now)).unwrap()
}

fn environment() -> Vec<(&'static str, String)> {
    let hex = |byte: &str| byte.repeat(32);
    vec![
        ("BOXOFFICE_KAFKA", "127.0.0.1:9".to_owned()),
        ("BOXOFFICE_REGISTRY", "http://127.0.0.1:9".to_owned()),
        ("BOXOFFICE_PARTITIONS", "2".to_owned()),
        ("BOXOFFICE_TAKEOVER_GRACE_S", "0".to_owned()),
        ("BOXOFFICE_BARRIER_AFTER_MS", "0".to_owned()),
        // How a place stands is asked by joining again.
        ("BOXOFFICE_JOINS_PER_VISITOR_PER_MIN", "0".to_owned()),
        ("BOXOFFICE_SECRET", hex("01")),
        ("BOXOFFICE_MASTER_KEY", hex("02")),
        ("BOXOFFICE_TOKEN_KEY", hex("03")),
    ]
}
