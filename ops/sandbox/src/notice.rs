//! Notifications: what is to be told, and when, as the script wants it.

use axum::http::Method;
use jiff::{SignedDuration, Timestamp};

use crate::clock::later_ms;
use crate::delivery::{Delivery, State};
use crate::sale::Sale;
use crate::script::{Script, WebhookMode};

const SLOW_MS: u64 = 2_000;
const LATE_MS: u64 = 60_000;
const REVERSE_STEP_MS: u64 = 200;
const HELD_BACK_MS: u64 = 5_000;

/// One notification of a provider, before it is sent.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Names it: the same in every copy, and no other notification has it.
    pub reference: String,
    /// The provider's name of its kind.
    pub kind: String,
    /// GET carries `query`, POST `body`.
    pub method: Method,
    /// The query that the target's URL gains, without its question mark; empty for none.
    pub query: String,
    /// The exact body.
    pub body: String,
}

impl Notice {
    /// A JSON body to be posted.
    pub fn post(reference: impl Into<String>, kind: impl Into<String>, body: String) -> Self {
        let (reference, kind) = (reference.into(), kind.into());
        Self { reference, kind, method: Method::POST, query: String::new(), body }
    }

    /// A query to be got.
    pub fn get(reference: impl Into<String>, kind: impl Into<String>, query: String) -> Self {
        let (reference, kind) = (reference.into(), kind.into());
        Self { reference, kind, method: Method::GET, query, body: String::new() }
    }
}

/// The place of a notification among those of its payment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// How many follow it at once.
    pub after: u64,
    /// Whether later ones should overtake it when the order is scrambled.
    pub holds_back: bool,
    /// When the payment expires.
    pub expires_at: Option<Timestamp>,
}

/// When a notification is sent, once for each copy, and in which state it starts.
pub fn schedule(script: &Script, place: Place, now: Timestamp) -> (Vec<Timestamp>, State) {
    let after = |ms: u64| later_ms(now, ms);
    let delay_ms = script.delay_ms.unwrap_or(0);
    match script.webhook {
        WebhookMode::Normal | WebhookMode::BadSignature => (vec![after(delay_ms)], State::Waiting),
        WebhookMode::Slow => (vec![after(script.delay_ms.unwrap_or(SLOW_MS))], State::Waiting),
        WebhookMode::Twice => (vec![now, after(delay_ms)], State::Waiting),
        WebhookMode::Late => (vec![late(script, place.expires_at, now)], State::Waiting),
        WebhookMode::Never => (vec![now], State::Suppressed),
        WebhookMode::OutOfOrder => {
            let step_ms = script.delay_ms.unwrap_or(REVERSE_STEP_MS);
            let held_ms = if place.holds_back { script.delay_ms.unwrap_or(HELD_BACK_MS) } else { 0 };
            (vec![after(step_ms.saturating_mul(place.after).saturating_add(held_ms))], State::Waiting)
        }
    }
}

/// The deliveries of what one happening of a sale tells; `first` when nothing was told of the sale's money before.
pub fn deliveries(sale: &Sale, notices: Vec<Notice>, first: bool, now: Timestamp) -> Vec<Delivery> {
    let count = notices.len() as u64;
    let mut all = Vec::new();
    for (notice, after) in notices.into_iter().zip((0..count).rev()) {
        let place = Place { after, holds_back: first, expires_at: sale.expires_at };
        let (dues, state) = schedule(&sale.script, place, now);
        all.extend(dues.into_iter().map(|due| delivery(sale, &notice, due, state)));
    }
    all
}

fn delivery(sale: &Sale, notice: &Notice, due: Timestamp, state: State) -> Delivery {
    Delivery {
        id: 0,
        provider: sale.provider,
        payment: sale.reference.clone(),
        number: sale.number,
        order_code: None,
        reference: notice.reference.clone(),
        kind: notice.kind.clone(),
        method: notice.method.as_str().to_owned(),
        url: sale.notify_url.clone(),
        query: notice.query.clone(),
        body: notice.body.clone(),
        forged: sale.script.webhook == WebhookMode::BadSignature,
        keys: sale.script.rotated_key,
        due,
        state,
        attempts: Vec::new(),
    }
}

fn late(script: &Script, expires_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    match (script.delay_ms, expires_at) {
        (Some(delay_ms), _) => later_ms(now, delay_ms),
        (None, Some(expiry)) => now.max(expiry.saturating_add(SignedDuration::from_secs(1)).unwrap_or(expiry)),
        (None, None) => later_ms(now, LATE_MS),
    }
}
