//! Asks providers about open payments and refunds when no webhook comes, less often the longer one is open; but those
//! that an order waits for to be over, always soon.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::ids::PaymentId;
use futures::StreamExt;
use service_kit::clock;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::effects::{Effects, Pace};
use crate::owners::Owners;

/// Providers asked at the same time.
const AT_ONCE: usize = 16;
/// The longest pause, in multiples of the shortest.
const SLOWEST: u32 = 8;

struct Watched {
    next: Instant,
    pause: Duration,
}

/// Asks about every open payment, first after `every`, then at doubling pauses, until the process ends.
pub async fn run(owners: Arc<Owners>, effects: Arc<Effects>, every: Duration, shutdown: CancellationToken) {
    let mut watched: HashMap<Uuid, Watched> = HashMap::new();
    let look = (every / 4).clamp(Duration::from_millis(50), Duration::from_secs(1));
    loop {
        tokio::select! {
            () = tokio::time::sleep(look) => {}
            () = shutdown.cancelled() => return,
        }
        let now = clock::monotonic();
        let open = owners.watched_payments();
        metrics::gauge!("boxoffice_open_payments").set(open.len() as f64);
        let mut still = HashMap::with_capacity(open.len());
        for payment in open {
            let known = watched.remove(&payment).unwrap_or(Watched { next: now + every, pause: every });
            still.insert(payment, known);
        }
        watched = still;
        let due: Vec<Uuid> = watched.iter().filter(|(_, it)| it.next <= now).map(|(payment, _)| *payment).collect();
        for payment in &due {
            if let Some(it) = watched.get_mut(payment) {
                it.next = now + it.pause;
                it.pause = (it.pause * 2).min(every * SLOWEST);
            }
        }
        let asked = futures::stream::iter(due).map(async |payment| (payment, effects.ask(PaymentId(payment)).await));
        for (payment, pace) in asked.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
            if let (Pace::Soon, Some(it)) = (pace, watched.get_mut(&payment)) {
                (it.next, it.pause) = (clock::monotonic() + every, every);
            }
        }
    }
}
