//! What is left of a show, for everybody who watches it: looked up once, written once, told to all.
//!
//! Invariant: a show that nobody watches costs nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ids::ShowId;
use tokio::sync::watch;
use tokio::time::sleep;

use super::App;

/// What is left is looked up so often while somebody watches.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is left, as JSON; empty before the first look.
pub type Left = Arc<str>;

/// The shows that somebody watches.
#[derive(Debug, Default)]
pub struct Showcases(Mutex<HashMap<ShowId, watch::Sender<Left>>>);

impl Showcases {
    fn shows(&self) -> MutexGuard<'_, HashMap<ShowId, watch::Sender<Left>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// What is left of a show, and every change of it from now on.
    pub fn showcase(&self, show: ShowId) -> watch::Receiver<Left> {
        let mut shows = self.0.showcases.shows();
        if let Some(known) = shows.get(&show) {
            return known.subscribe();
        }
        let (sender, receiver) = watch::channel(Left::from(""));
        shows.insert(show, sender);
        tokio::spawn(self.clone().keep_showcase(show));
        receiver
    }

    /// Until nobody watches any more, or the process stops.
    async fn keep_showcase(self, show: ShowId) {
        let shutdown = self.shutdown.clone();
        loop {
            // A database that does not answer is asked again; those who watch keep what they have.
            if let Ok(Some(left)) = self.left(show).await {
                let json = serde_json::to_string(&left).expect("what is left is plain data");
                if let Some(sender) = self.0.showcases.shows().get(&show) {
                    sender.send_if_modified(|known| {
                        let news = **known != *json;
                        if news {
                            *known = Left::from(json.as_str());
                        }
                        news
                    });
                }
            }
            if shutdown.run_until_cancelled(sleep(LOOK_EVERY)).await.is_none() {
                return;
            }
            let mut shows = self.0.showcases.shows();
            if shows.get(&show).is_none_or(|sender| sender.receiver_count() == 0) {
                shows.remove(&show);
                return;
            }
        }
    }
}
