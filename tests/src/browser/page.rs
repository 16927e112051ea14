//! What a person sees of a page, and does with it.

use std::time::Duration;

use serde_json::{Value, json};

use super::devtools::DevTools;
use super::stub::{self, Asked, Reply};

/// A small phone's.
const HEIGHT: u32 = 640;
/// What is waited for comes within this, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The least that a finger can hit (WCAG 2.2, target size enhanced).
const FINGER: f64 = 44.0;

/// The page of a browser.
pub struct Page {
    devtools: DevTools,
}

impl Page {
    pub(super) async fn open(devtools: DevTools) -> anyhow::Result<Self> {
        for domain in ["Page", "Runtime", "Network", "Log", "Accessibility"] {
            devtools.call(&format!("{domain}.enable"), &json!({})).await?;
        }
        let page = Self { devtools };
        page.is_wide(360).await;
        Ok(page)
    }

    /// A command of the protocol.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn call(&self, method: &str, parameters: Value) -> Value {
        self.devtools.call(method, &parameters).await.expect("the browser does it")
    }

    /// Makes it a phone that is so wide.
    ///
    /// # Panics
    /// If the browser does not.
    pub async fn is_wide(&self, width: u32) {
        let phone = json!({"width": width, "height": HEIGHT, "deviceScaleFactor": 2, "mobile": true});
        self.call("Emulation.setDeviceMetricsOverride", phone).await;
        self.call("Emulation.setTouchEmulationEnabled", json!({"enabled": true})).await;
    }

    /// A script that runs before those of every page from now on.
    ///
    /// # Panics
    /// If the browser does not take it.
    pub async fn before_every_page(&self, script: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": script})).await;
    }

    /// Goes to an address.
    ///
    /// # Panics
    /// If it cannot be reached.
    pub async fn goes_to(&self, address: &str) {
        let went = self.call("Page.navigate", json!({"url": address})).await;
        assert!(went["errorText"].is_null(), "{address}: {went}");
    }

    /// Loads the page again.
    ///
    /// # Panics
    /// If the browser does not.
    pub async fn reloads(&self) {
        self.call("Page.reload", json!({})).await;
    }

    /// What an expression is; null while there is no page to ask.
    pub async fn value(&self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.devtools.call("Runtime.evaluate", &asked).await.unwrap_or_default();
        answer["result"]["value"].clone()
    }

    /// The text that a person sees in the first element that a selector finds; empty if it is not there or not seen.
    pub async fn text(&self, selector: &str) -> String {
        let seen = format!(
            "(() => {{ const it = document.querySelector({selector:?});
            return it && it.checkVisibility() ? it.innerText.trim() : ''; }})()"
        );
        self.value(&seen).await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the text there is this.
    ///
    /// # Panics
    /// If it does not come; tells what is seen instead.
    #[track_caller]
    pub fn shows(&self, selector: &str, text: &str) -> impl Future<Output = ()> {
        let from = std::panic::Location::caller();
        async move {
            let deadline = tokio::time::Instant::now() + PATIENCE;
            while self.text(selector).await != text {
                if tokio::time::Instant::now() > deadline {
                    let whole = self.text("body").await;
                    panic!("{from}: {selector} does not show {text:?}; the page shows:\n{whole}\n{:#?}", self.errors());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Waits until an expression is true.
    ///
    /// # Panics
    /// If it does not get so; tells what is seen.
    pub async fn until(&self, expression: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.value(expression).await != true {
            if tokio::time::Instant::now() > deadline {
                panic!("not {expression}; the page shows:\n{}\n{:#?}", self.text("body").await, self.errors());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Taps a button.
    ///
    /// # Panics
    /// If it is not there, or too small for a finger.
    pub async fn taps(&self, selector: &str) {
        let place = format!(
            "(() => {{ const it = document.querySelector({selector:?}); it.scrollIntoView({{block: 'center'}});
            const box = it.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2, box.width, box.height]; }})()"
        );
        let place: Vec<f64> = serde_json::from_value(self.value(&place).await).expect("the button is there");
        let [x, y, width, height] = place[..] else { panic!("a button has a place: {place:?}") };
        assert!(width >= FINGER && height >= FINGER, "{selector} is too small to tap: {width} by {height}");
        for kind in ["mousePressed", "mouseReleased"] {
            let tap = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", tap).await;
        }
    }

    /// What assistive technology is told: the nodes that it is not told to ignore.
    ///
    /// # Panics
    /// If the browser does not tell.
    pub async fn accessible(&self) -> Vec<Value> {
        let tree = self.call("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
        nodes.into_iter().filter(|node| node["ignored"] != true).collect()
    }

    /// What went wrong by the browser's own account: exceptions, and everything that is logged as an error.
    pub fn errors(&self) -> Vec<Value> {
        let logged = self.devtools.past("Log.entryAdded").into_iter().filter(|it| it["entry"]["level"] == "error");
        let said = self.devtools.past("Runtime.consoleAPICalled").into_iter().filter(|it| it["type"] == "error");
        logged.chain(said).chain(self.devtools.past("Runtime.exceptionThrown")).collect()
    }

    /// Every address that was asked for, over HTTP and by sockets.
    pub fn requests(&self) -> Vec<String> {
        let asked = self.devtools.past("Network.requestWillBeSent").into_iter().map(|it| it["request"]["url"].clone());
        asked.filter_map(|url| url.as_str().map(str::to_owned)).chain(self.sockets()).collect()
    }

    /// The address of every socket.
    pub fn sockets(&self) -> Vec<String> {
        let opened = self.devtools.past("Network.webSocketCreated").into_iter();
        opened.filter_map(|it| it["url"].as_str().map(str::to_owned)).collect()
    }

    /// Forgets what went wrong and was asked for so far.
    pub fn forget(&self) {
        self.devtools.forget();
    }

    /// From now on requests to addresses like this are answered as `reply` says, not by who is there.
    ///
    /// # Panics
    /// If the browser does not.
    pub async fn stub(&self, like: &str, reply: impl FnMut(Asked) -> Reply + Send + 'static) {
        stub::begin(&self.devtools, like, reply).await.expect("the browser lets us answer");
    }
}
