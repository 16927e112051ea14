//! The payment sandbox: what payers do at their providers, and what is arranged to go wrong there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use provider_sandbox::{Provider, Script, WebhookMode};
use reqwest::{Method, header};
use serde::Deserialize;
use serde_json::{Value, json};
use service_kit::clock;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::faults::Drawn;
use crate::demo::shop::{Ask, Shop};

/// A provider is silent about a payment for so long after it was opened: longer than an order lasts.
const SILENCE_S: i64 = 40;
/// A page that does not open is loaded again so often, as people do.
const RELOADS: u32 = 8;
/// What was not told by a webhook that is lost is told so long after money that nobody would ask for any more.
const TOLD_AFTER_MS: u64 = 5_000;

/// A page to pay at.
#[derive(Debug, Clone)]
pub struct Page {
    /// Whose.
    pub provider: Provider,
    /// What the provider calls it.
    pub id: String,
    /// What is asked for, minor units.
    pub amount: i64,
}

/// The sandbox. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bank {
    shop: Shop,
    browser: reqwest::Client,
    /// For each provider, the kinds of fault of each creation to come, in the order that the sandbox has them.
    queued: Arc<BTreeMap<Provider, Mutex<Vec<Vec<&'static str>>>>>,
}

#[derive(Debug, Deserialize)]
struct Payments {
    payments: Vec<Known>,
    next_cursor: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Known {
    provider: Provider,
    id: String,
    #[serde(rename = "createdAt")]
    created_at: Timestamp,
    script: Script,
}

impl Bank {
    /// The sandbox at this address.
    ///
    /// # Errors
    /// No TLS provider is installed.
    pub fn new(base: &str) -> anyhow::Result<Self> {
        let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let browser = browser.timeout(Duration::from_secs(10)).build().context("make an HTTP client")?;
        let queued = Provider::ALL.map(|provider| (provider, Mutex::default())).into_iter().collect();
        Ok(Self { shop: Shop::new(base)?, browser, queued: Arc::new(queued) })
    }

    /// Has the next payment that is opened at this provider go wrong like this.
    ///
    /// # Errors
    /// The sandbox refuses.
    pub async fn arrange(&self, provider: Provider, drawn: Drawn) -> anyhow::Result<()> {
        let mut queued = self.queued[&provider].lock().await;
        let body = json!({"provider": provider, "script": drawn.script});
        self.post("/_control/next", &body).await?;
        queued.push(drawn.kinds);
        Ok(())
    }

    /// How often each kind of fault was met by a payment that was opened.
    ///
    /// # Errors
    /// The sandbox does not answer.
    pub async fn injected(&self) -> anyhow::Result<BTreeMap<(Provider, &'static str), u64>> {
        let summary: Value = self.shop.get("/_control/summary", None).await?;
        let mut counts = BTreeMap::new();
        for provider in Provider::ALL {
            let opened = summary["by_provider"][provider.name()].as_u64().unwrap_or_default();
            let queued = self.queued[&provider].lock().await;
            for kind in queued.iter().take(usize::try_from(opened)?).flatten() {
                *counts.entry((provider, *kind)).or_default() += 1;
            }
        }
        Ok(counts)
    }

    /// Opens the page at this address. `None` if it is no page any more.
    ///
    /// # Errors
    /// The sandbox does not answer.
    pub async fn open(&self, provider: Provider, url: &str, amount: i64) -> anyhow::Result<Option<Page>> {
        let last = |url: &str| url.split('?').next().and_then(|path| path.rsplit('/').next()).map(str::to_owned);
        if provider != Provider::Vnpay {
            let id = last(url).context("a page has an address")?;
            return Ok(Some(Page { provider, id, amount }));
        }
        // Opening it is what makes it.
        for _ in 0..RELOADS {
            if let Ok(answer) = self.browser.get(url).send().await
                && let Some(location) = answer.headers().get(header::LOCATION)
            {
                let id = last(location.to_str().context("read where a page is")?).context("a page has an address")?;
                return Ok(Some(Page { provider, id, amount }));
            }
            sleep(Duration::from_millis(500)).await;
        }
        Ok(None)
    }

    /// Pays. False if the page is closed.
    ///
    /// # Errors
    /// The sandbox refuses for another reason.
    pub async fn pay(&self, page: &Page, how: &Value) -> anyhow::Result<bool> {
        self.act(page, "pay", how).await
    }

    /// Is declined by the bank. False if the page is closed.
    ///
    /// # Errors
    /// The sandbox refuses for another reason.
    pub async fn decline(&self, page: &Page) -> anyhow::Result<bool> {
        self.act(page, "fail", &json!({})).await
    }

    /// Presses cancel. False if the page is closed.
    ///
    /// # Errors
    /// The sandbox refuses for another reason.
    pub async fn leave(&self, page: &Page) -> anyhow::Result<bool> {
        self.act(page, "cancel", &json!({})).await
    }

    /// Pays although the page is closed, as banks do that were slow.
    ///
    /// # Errors
    /// The sandbox refuses.
    pub async fn pay_late(&self, page: &Page) -> anyhow::Result<bool> {
        self.tell(page).await?;
        self.pay(page, &json!({"force": true})).await
    }

    /// Has the provider tell of money after all. Where it never tells, nor shows the money to who asks (because it said
    /// before that the payment is over), only the reconciliation of books can find it.
    ///
    /// # Errors
    /// The sandbox refuses.
    pub async fn tell(&self, page: &Page) -> anyhow::Result<()> {
        let told = |script: &mut Script| {
            if matches!(script.webhook, WebhookMode::Never | WebhookMode::BadSignature) {
                (script.webhook, script.delay_ms) = (WebhookMode::Late, Some(TOLD_AFTER_MS));
            }
        };
        self.change(page.provider, &page.id, told).await
    }

    /// Changes what goes wrong with a payment.
    ///
    /// # Errors
    /// The sandbox refuses.
    pub async fn change(&self, provider: Provider, id: &str, change: impl FnOnce(&mut Script)) -> anyhow::Result<()> {
        let known: Known = self.shop.get(&format!("/_control/payments/{provider}/{id}"), None).await?;
        let mut script = known.script;
        change(&mut script);
        let (path, body) = (format!("/_control/payments/{provider}/{id}/script"), serde_json::to_value(script)?);
        let ask = Ask { method: Some(&Method::PUT), path: &path, body: Some(&body), ..Ask::default() };
        self.shop.ask(ask).await?.read::<Value>().context("change a script")?;
        Ok(())
    }

    /// Has providers answer again about payments that they were silent about for long enough.
    ///
    /// # Errors
    /// The sandbox does not answer.
    pub async fn break_silence(&self) -> anyhow::Result<()> {
        let before = Timestamp::from_microsecond(clock::now().plus_s(-SILENCE_S).0).context("read the clock")?;
        let mut cursor = 0;
        loop {
            let page: Payments = self.shop.get(&format!("/_control/payments?limit=1000&cursor={cursor}"), None).await?;
            for known in page.payments.iter().filter(|it| it.script.silent && it.created_at < before) {
                self.change(known.provider, &known.id, |script| script.silent = false).await?;
            }
            match page.next_cursor {
                Some(next) => cursor = next,
                None => return Ok(()),
            }
        }
    }

    /// A provider's statement as a CSV file.
    ///
    /// # Errors
    /// The sandbox does not answer.
    pub async fn statement(&self, provider: Provider, base: &str) -> anyhow::Result<Vec<u8>> {
        let url = format!("{base}/_control/statement?format=csv&provider={provider}");
        let answer = self.browser.get(url).send().await.and_then(reqwest::Response::error_for_status);
        Ok(answer.context("ask for the statement")?.bytes().await.context("read the statement")?.to_vec())
    }

    async fn act(&self, page: &Page, what: &str, body: &Value) -> anyhow::Result<bool> {
        let path = format!("/_control/payments/{}/{}/{what}", page.provider, page.id);
        let ask = Ask { method: Some(&Method::POST), path: &path, body: Some(body), ..Ask::default() };
        let answer = self.shop.ask(ask).await.context("ask the payment sandbox")?;
        match answer.status.as_u16() {
            200 => Ok(true),
            409 => Ok(false),
            _ => bail!("the payment sandbox: {what} at {}: {} {}", page.provider, answer.status, answer.body),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let ask = Ask { method: Some(&Method::POST), path, body: Some(body), ..Ask::default() };
        self.shop.ask(ask).await?.read().with_context(|| format!("POST {path}"))
    }
}
