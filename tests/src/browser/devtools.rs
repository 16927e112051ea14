//! The DevTools protocol over its WebSocket: commands with their results, and events.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::stream::SplitStream;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many events may wait for whoever reads them.
const EVENTS: usize = 4096;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A connection to one page. Clones are the same connection.
#[derive(Clone)]
pub struct DevTools {
    commands: mpsc::UnboundedSender<Message>,
    next: Arc<AtomicU64>,
    waiting: Waiting,
    events: broadcast::Sender<Value>,
    past: Arc<Mutex<Vec<Value>>>,
}

impl DevTools {
    /// # Errors
    /// Nobody answers there.
    pub async fn connect(address: &str) -> anyhow::Result<Self> {
        let (socket, _) = connect_async(address).await.context("connect to the page")?;
        let (mut sink, stream) = socket.split();
        let (commands, mut queued) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(EVENTS);
        let page = Self { commands, next: Arc::default(), waiting: Arc::default(), events, past: Arc::default() };
        tokio::spawn(page.clone().read(stream));
        tokio::spawn(async move {
            while let Some(message) = queued.recv().await {
                if sink.send(message).await.is_err() {
                    break;
                }
            }
        });
        Ok(page)
    }

    async fn read(self, mut stream: SplitStream<WebSocketStream<MaybeTlsStream<TcpStream>>>) {
        while let Some(Ok(message)) = stream.next().await {
            let Ok(told) = message.to_text().map(|text| serde_json::from_str::<Value>(text).unwrap_or_default()) else {
                continue;
            };
            if let Some(id) = told["id"].as_u64() {
                let asker = self.waiting.lock().expect("nobody panics with it").remove(&id);
                // Nobody minds an answer that is not waited for any more.
                asker.into_iter().for_each(|asker| drop(asker.send(told.clone())));
            } else if told["method"].is_string() {
                self.past.lock().expect("nobody panics with it").push(told.clone());
                drop(self.events.send(told));
            }
        }
        // Whoever waits learns that nothing comes any more.
        self.waiting.lock().expect("nobody panics with it").clear();
    }

    /// A command's result.
    ///
    /// # Errors
    /// It is refused, or the page is gone.
    pub async fn call(&self, method: &str, parameters: &Value) -> anyhow::Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (asker, answer) = oneshot::channel();
        self.waiting.lock().expect("nobody panics with it").insert(id, asker);
        let command = json!({"id": id, "method": method, "params": parameters}).to_string();
        self.commands.send(Message::text(command)).context("the page is gone")?;
        let answer = tokio::time::timeout(PATIENCE, answer).await.with_context(|| format!("no answer to {method}"))?;
        let mut answer = answer.context("the page is gone")?;
        match answer.get("error") {
            Some(error) => bail!("{method}: {error}"),
            None => Ok(answer["result"].take()),
        }
    }

    /// The events from now on.
    pub fn events(&self) -> broadcast::Receiver<Value> {
        self.events.subscribe()
    }

    /// The parameters of every event of this name so far.
    pub fn past(&self, method: &str) -> Vec<Value> {
        let past = self.past.lock().expect("nobody panics with it");
        past.iter().filter(|event| event["method"] == method).map(|event| event["params"].clone()).collect()
    }

    /// Forgets the events so far.
    pub fn forget(&self) {
        self.past.lock().expect("nobody panics with it").clear();
    }
}
