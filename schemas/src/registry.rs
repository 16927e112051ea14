//! The schema registry: any that speaks Confluent's protocol.
//!
//! Invariant: a schema is only ever registered under FULL_TRANSITIVE, and an id is trusted only when the registry
//! gives our own schema back for it.

mod restore;
mod versions;

pub use restore::Standing;

use std::collections::BTreeMap;
use std::time::Duration;

use apache_avro::Schema;
use futures::stream::{self, StreamExt, TryStreamExt};
use reqwest::{Client, StatusCode, Url};
use schema_registry_converter::async_impl::schema_registry::{SrSettings, post_schema};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{RawError, SchemaType, SuppliedSchema};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalog::RecordType;
use crate::copy::SchemaRecord;
use crate::ids::Ids;
use crate::source::{SchemaSource, SourceAnswer};

pub use versions::RegisteredVersion;

/// A registry that starts, or shares a busy machine, takes its time.
const TIMEOUT: Duration = Duration::from_secs(30);
const COMPATIBILITY: &str = "FULL_TRANSITIVE";
const AT_ONCE: usize = 4;
/// Longer answers are cut before they are shown.
const SHOWN_CHARACTERS: usize = 500;

/// Why the registry did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The address is no URL, or no HTTP client can be made.
    #[error("the address of the schema registry cannot be used: {detail}")]
    Address {
        /// What is wrong.
        detail: String,
    },
    /// Waiting may help.
    #[error("the schema registry at {url} does not answer")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The schema file was changed in a way that old or new readers could not follow.
    #[error(
        "the schema registry refuses {subject}, because it is not {COMPATIBILITY} with an earlier version: {detail}"
    )]
    Incompatible {
        /// The subject.
        subject: String,
        /// What the registry says.
        detail: String,
    },
    /// Registration is the work of `boxctl init`.
    #[error("the schema registry at {url} does not have our version of {subject}: run `boxctl init`")]
    Missing {
        /// Where.
        url: String,
        /// The subject.
        subject: String,
    },
    /// The registry is another one, or lost its data.
    #[error(
        "the schema registry at {url} answers id {id} with another schema than {subject}: it is not the one this log was \
         written with, and would misread it"
    )]
    OtherSchema {
        /// Where.
        url: String,
        /// The id.
        id: u32,
        /// What it should be.
        subject: String,
    },
    /// The registry gave what no registry should give.
    #[error("the schema registry at {url} gives a wrong answer about {about}: {detail}")]
    Answer {
        /// Where.
        url: String,
        /// What was asked.
        about: String,
        /// What it said.
        detail: String,
    },
}

/// Registers every schema, and gives their ids. Doing it again changes nothing.
///
/// # Errors
/// [`RegistryError`]; what was registered before the error stays.
pub async fn register_all(registry_url: &str, namespace: &str) -> Result<Ids, RegistryError> {
    let registry = Registry::new(registry_url)?;
    let registry = &registry;
    registry.every(|record| async move { registry.register(&record.subject(namespace), record.text()).await }).await
}

/// Looks the ids of every schema up, and changes nothing. A service takes the id of *its* version, never of the latest.
///
/// # Errors
/// [`RegistryError`]; `Missing` where `boxctl init` was not run.
pub async fn lookup_all(registry_url: &str, namespace: &str) -> Result<Ids, RegistryError> {
    let registry = Registry::new(registry_url)?;
    let registry = &registry;
    registry.every(|record| async move { registry.lookup(&record.subject(namespace), record.text()).await }).await
}

/// A client of one registry. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    base: Url,
    http: Client,
    settings: SrSettings,
}

#[derive(Deserialize)]
struct Identified {
    id: u32,
}

#[derive(Deserialize)]
struct Text {
    schema: String,
}

impl Registry {
    /// A client of the registry at a base URL, without asking it anything yet.
    ///
    /// # Errors
    /// When that is no URL.
    pub fn new(url: &str) -> Result<Self, RegistryError> {
        let address = |detail: String| RegistryError::Address { detail };
        // The client panics without a provider, although it may never open a TLS connection.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let base = Url::parse(url.trim_end_matches('/')).map_err(|error| address(error.to_string()))?;
        if base.cannot_be_a_base() {
            return Err(address("it has no host".to_owned()));
        }
        let http = Client::builder().timeout(TIMEOUT).build().map_err(|error| address(error.to_string()))?;
        let mut settings = SrSettings::new_builder(url.trim_end_matches('/').to_owned());
        let settings = settings.set_timeout(TIMEOUT).build().map_err(|error| address(error.to_string()))?;
        Ok(Self { base, http, settings })
    }

    /// Registers one schema under a subject, as a new version if it is one, and gives its id.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn register(&self, subject: &str, text: &str) -> Result<u32, RegistryError> {
        let is_set = self.require_compatibility(subject).await?;
        let schema = SuppliedSchema::new(None, SchemaType::Avro, text.to_owned());
        let posted = post_schema(&self.settings, subject.to_owned(), schema).await;
        let id = posted.map_err(|error| self.refused(subject, &error))?.id;
        if !is_set && !self.require_compatibility(subject).await? {
            return Err(self.answer(subject, "it does not know the subject that it just registered".to_owned()));
        }
        self.confirm(id, subject, text).await?;
        Ok(id)
    }

    /// The id that a schema has under a subject.
    ///
    /// # Errors
    /// [`RegistryError`]; `Missing` if it has none.
    pub async fn lookup(&self, subject: &str, text: &str) -> Result<u32, RegistryError> {
        let request = self.http.post(self.url(&["subjects", subject]));
        let answer = self.send(request.json(&json!({ "schema": text, "schemaType": "AVRO" })), subject).await?;
        let Some(Identified { id }) = answer else {
            return Err(RegistryError::Missing { url: self.shown(), subject: subject.to_owned() });
        };
        self.confirm(id, subject, text).await?;
        Ok(id)
    }

    /// The text of the schema with an id.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn text(&self, id: u32) -> Result<Option<String>, RegistryError> {
        let request = self.http.get(self.url(&["schemas", "ids", &id.to_string()]));
        let answer: Option<Text> = self.send(request, &format!("id {id}")).await?;
        Ok(answer.map(|answer| answer.schema))
    }

    /// The compatibility that is set for a subject, if one is.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn compatibility(&self, subject: &str) -> Result<Option<String>, RegistryError> {
        let answer: Option<Value> = self.send(self.http.get(self.url(&["config", subject])), subject).await?;
        let level = answer.as_ref().and_then(|answer| answer["compatibilityLevel"].as_str());
        Ok(level.map(str::to_owned))
    }

    /// Checks that the registry answers every id of the copy as it did when the copy was made.
    ///
    /// # Errors
    /// [`RegistryError`]; `OtherSchema` names the first id that it answers in another way, or not at all.
    pub async fn verify(&self, copy: &[SchemaRecord]) -> Result<(), RegistryError> {
        let checks = stream::iter(copy.iter().cloned())
            .map(|record| async move { self.confirm(record.id, &record.subject, &record.schema).await });
        checks.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn every<F>(&self, ask: impl Fn(RecordType) -> F) -> Result<Ids, RegistryError>
    where
        F: Future<Output = Result<u32, RegistryError>>,
    {
        let asked = stream::iter(RecordType::all()).map(|record| {
            let answer = ask(record);
            async move { Ok::<_, RegistryError>((record, answer.await?)) }
        });
        let ids: BTreeMap<RecordType, u32> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
        Ids::new(ids).map_err(|detail| self.answer("its ids", detail))
    }

    /// Sets the compatibility; some registries only do so once the subject exists, then it is `false`.
    async fn require_compatibility(&self, subject: &str) -> Result<bool, RegistryError> {
        let request = self.http.put(self.url(&["config", subject]));
        let answer: Option<Value> =
            self.send(request.json(&json!({ "compatibility": COMPATIBILITY })), subject).await?;
        Ok(answer.is_some())
    }

    /// Checks that an id means this schema.
    async fn confirm(&self, id: u32, subject: &str, ours: &str) -> Result<(), RegistryError> {
        match self.text(id).await? {
            Some(theirs) if same(ours, &theirs) => Ok(()),
            _ => Err(RegistryError::OtherSchema { url: self.shown(), id, subject: subject.to_owned() }),
        }
    }

    /// The answer, or `None` for 404.
    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
        about: &str,
    ) -> Result<Option<T>, RegistryError> {
        let answer = request.send().await.map_err(|error| self.unreachable(error.without_url()))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.unreachable(error.without_url()))?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if status.is_server_error() {
            return Err(self.unreachable(format!("status {status}: {}", shortened(&body))));
        }
        if !status.is_success() {
            return Err(self.answer(about, format!("status {status}: {}", shortened(&body))));
        }
        let parsed = serde_json::from_slice(&body);
        parsed.map(Some).map_err(|error| self.answer(about, format!("{error} in {}", shortened(&body))))
    }

    fn refused(&self, subject: &str, error: &SRCError) -> RegistryError {
        let raw = std::error::Error::source(error).and_then(|source| source.downcast_ref::<RawError>());
        match raw {
            Some(raw) if error.error.contains("409") => {
                RegistryError::Incompatible { subject: subject.to_owned(), detail: shortened(raw.message.as_bytes()) }
            }
            Some(raw) if !error.retriable && !error.error.contains("status 5") => {
                self.answer(subject, format!("{}: {}", error.error, shortened(raw.message.as_bytes())))
            }
            _ => self.unreachable(error.clone()),
        }
    }

    fn unreachable(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RegistryError {
        RegistryError::Unreachable { url: self.shown(), source: source.into() }
    }

    fn answer(&self, about: &str, detail: String) -> RegistryError {
        RegistryError::Answer { url: self.shown(), about: about.to_owned(), detail }
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("checked when the client was made").extend(path);
        url
    }

    /// The address without the credentials that it may carry.
    fn shown(&self) -> String {
        let mut url = self.base.clone();
        // Both fail only for addresses without a host, which have no credentials.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        url.to_string()
    }
}

impl SchemaSource for Registry {
    fn schema(&self, id: u32) -> SourceAnswer<'_> {
        Box::pin(self.text(id))
    }
}

/// Registries lay the text out anew (Apicurio leaves out a namespace that follows from the enclosing one); what must
/// not differ is what the bytes mean.
fn same(ours: &str, theirs: &str) -> bool {
    let meaning = |text| Schema::parse_str(text).map(|schema| schema.canonical_form()).ok();
    meaning(ours).is_some_and(|ours| meaning(theirs) == Some(ours))
}

fn shortened(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(SHOWN_CHARACTERS).collect()
}
