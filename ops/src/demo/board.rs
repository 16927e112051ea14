//! What is left of the show, as everybody sees it: asked for twice a second, whoever looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::ids::{ShowId, TicketClassId};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::dice::Dice;
use super::shop::Shop;

/// A hold may end and another begin between two looks of the read model, so nothing has to be seen so often.
const SURE: u32 = 3;
/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);

/// The answer of `GET /v1/shows/{show}/availability`, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Availability {
    /// Its classes.
    pub classes: Vec<Left>,
}

/// What is left of a class.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Left {
    /// Which class.
    pub id: TicketClassId,
    /// Its name.
    pub name: String,
    /// How many are held.
    pub reserved: i64,
    /// How many are sold.
    pub sold: i64,
    /// How many can be ordered now.
    pub available: i64,
    /// `on_sale`, `sold_out`, `not_yet` or `closed`.
    pub status: String,
}

impl Availability {
    /// What can be ordered now.
    pub fn available(&self) -> i64 {
        self.classes.iter().map(|class| class.available).sum()
    }

    /// Whether nothing is left, and nothing can come back.
    fn nothing(&self) -> bool {
        !self.classes.is_empty() && self.available() == 0 && self.reserved() == 0
    }

    /// What is held and may come back.
    pub fn reserved(&self) -> i64 {
        self.classes.iter().map(|class| class.reserved).sum()
    }
}

/// What is left, and who waits for it.
#[derive(Debug, Clone)]
pub struct Board {
    seen: watch::Receiver<Availability>,
    over: watch::Receiver<bool>,
    waiting: Arc<AtomicU64>,
}

/// Looks until nobody looks at the board any more.
pub fn start(shop: Shop, show: ShowId) -> Board {
    let (sender, seen) = watch::channel(Availability::default());
    let (ended, over) = watch::channel(false);
    tokio::spawn(async move {
        let path = format!("/v1/shows/{show}/availability");
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut nothing = 0;
        while !sender.is_closed() {
            ticks.tick().await;
            // What is not answered now is answered at the next look.
            if let Ok(left) = shop.get::<Availability>(&path, None).await {
                nothing = if left.nothing() { nothing + 1 } else { 0 };
                sender.send_replace(left);
                ended.send_if_modified(|over| std::mem::replace(over, nothing >= SURE) != (nothing >= SURE));
            }
        }
    });
    Board { seen, over, waiting: Arc::default() }
}

/// Counts who waits, until it is dropped.
struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Board {
    /// What is left now.
    pub fn now(&self) -> Availability {
        self.seen.borrow().clone()
    }

    /// Waits until nothing is left and nothing can come back; for ever once nobody looks any more.
    pub async fn over(&self) {
        let mut over = self.over.clone();
        if over.wait_for(|over| *over).await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits for stock to come back; `None` once nothing can, or at the deadline. Of many who wait, about twice as many
    /// as there are tickets see them at a look.
    pub async fn stock(&self, deadline: Instant, dice: &mut Dice) -> Option<Left> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.waiting);
        let mut seen = self.seen.clone();
        let mut nothing = 0;
        loop {
            timeout_at(deadline, seen.changed()).await.ok()?.ok()?;
            let left = seen.borrow_and_update().clone();
            let available = u64::try_from(left.available()).unwrap_or(0);
            nothing = if left.nothing() { nothing + 1 } else { 0 };
            if nothing >= SURE {
                return None;
            }
            if available > 0 && dice.below(waiting.0.load(Ordering::Relaxed).max(1)) < 2 * available {
                return some_of(left, dice);
            }
        }
    }
}

/// A class of which something is left.
fn some_of(left: Availability, dice: &mut Dice) -> Option<Left> {
    let mut with_stock: Vec<Left> = left.classes.into_iter().filter(|class| class.available > 0).collect();
    let at = usize::try_from(dice.below(with_stock.len() as u64)).ok()?;
    (at < with_stock.len()).then(|| with_stock.swap_remove(at))
}
