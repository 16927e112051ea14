//! What every handler and background task shares.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::books::Books;
use crate::clock::Clock;
use crate::settings::Settings;

/// Longer than any client waits (the official SDK gives up after 60 s).
const HOLD: Duration = Duration::from_secs(120);

/// One running sandbox.
pub struct App {
    /// What it was started with.
    pub settings: Settings,
    /// Its own address, for the links it hands out.
    pub base_url: String,
    /// Its clock.
    pub clock: Clock,
    /// The client that sends webhooks.
    pub http: reqwest::Client,
    books: Mutex<Books>,
    stop: watch::Sender<bool>,
}

impl App {
    /// Puts the parts together.
    pub fn new(settings: Settings, base_url: String, books: Books, http: reqwest::Client) -> Self {
        let stop = watch::Sender::new(false);
        Self { settings, base_url, clock: Clock::new(), http, books: Mutex::new(books), stop }
    }

    /// The books, locked; never held across an await.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells every task to end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Returns once the sandbox is told to end.
    pub async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _ = stop.wait_for(|stopped| *stopped).await;
    }

    /// Holds a request for longer than its caller waits.
    pub async fn hold(&self) {
        self.sleep(HOLD).await;
    }

    /// Sleeps in real time, or until the sandbox ends.
    pub async fn sleep(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.stopped() => {}
        }
    }

    /// Runs a task that ends with the sandbox at the latest.
    pub fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let app = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = task => {}
                () = app.stopped() => {}
            }
        });
    }
}
