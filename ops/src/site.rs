//! Where a box office is that a command looks at: told by the environment, or the local installation of a checkout.
//!
//! Invariant: finding it starts nothing and changes nothing.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use event_log::kafka::KafkaSettings;
use event_log::topics;
use local_stack::{StackConfig, find_root};
use service_kit::config::{Env, Noted};
use service_kit::env;
use service_kit::keys::Secret32;

use crate::config::Tool;
use crate::dev::Written;
use crate::init::LOCAL_PARTITIONS;
use crate::local::{self, LocalSecrets};

/// Which box office.
#[derive(Debug, Clone, Default, Args)]
pub struct SiteArgs {
    /// Prefix of topics and Postgres schemas [default: BOXOFFICE_NAMESPACE, or that of the local installation].
    #[arg(long)]
    pub namespace: Option<String>,
    /// Where `boxctl dev` or `demo` keeps the files of its installation [default: .local/dev of the checkout].
    #[arg(long)]
    pub folder: Option<PathBuf>,
}

/// A box office, as far as one knows where it is.
#[derive(Clone)]
pub struct Site {
    /// Kafka's bootstrap servers.
    pub kafka: String,
    /// The schema registry.
    pub registry: String,
    /// Postgres with the read models, if it is known.
    pub postgres: Option<String>,
    /// Prefix of topics and schemas.
    pub namespace: String,
    /// Partitions of every event topic, if somebody said.
    pub partitions: Option<u32>,
    /// What instances know each other by.
    pub secret: Option<Secret32>,
    /// Where services are reached, with their names where they are known.
    pub services: Vec<(Option<String>, String)>,
    /// Whether it is an installation of this checkout, with keys of its own and sandboxes for providers.
    pub local: bool,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Site({:?} in Kafka at {})", self.namespace, self.kafka)
    }
}

/// What the environment says.
struct Told {
    kafka: Option<String>,
    registry: Option<String>,
    postgres: Option<String>,
    namespace: Option<String>,
    partitions: Option<u32>,
    secret: Option<Secret32>,
    services: Vec<String>,
}

impl Told {
    fn read(env: &mut Env) -> Result<Self, Noted> {
        let kafka = env.optional("BOXOFFICE_KAFKA", env::hosts(), "Kafka's bootstrap servers.");
        let registry = env.optional("BOXOFFICE_REGISTRY", env::url(), "The schema registry (Confluent API).");
        let postgres = env.optional("BOXOFFICE_POSTGRES", env::secret_text("a postgres:// URL"), "The read models.");
        let namespace = env.optional("BOXOFFICE_NAMESPACE", env::name(), "Prefix of topics and schemas.");
        let partitions = env.optional("BOXOFFICE_PARTITIONS", env::whole(1..=1024), "Partitions of event topics.");
        let secret = env.optional("BOXOFFICE_SECRET", env::secret32(), "Instances know each other's requests by it.");
        let tool = Tool::read(env);
        let (kafka, registry, postgres) = (kafka?, registry?, postgres?);
        if kafka.is_some() != registry.is_some() || (postgres.is_some() && kafka.is_none()) {
            let expected = "BOXOFFICE_KAFKA and BOXOFFICE_REGISTRY, and BOXOFFICE_POSTGRES beside them; or none of them for the local installation";
            return Err(env.refuse("BOXOFFICE_KAFKA", "is set only with some of the others", expected));
        }
        let (namespace, partitions, services) = (namespace?, partitions?, tool?.services);
        Ok(Self { kafka, registry, postgres, namespace, partitions, secret: secret?, services })
    }
}

impl Site {
    /// The one of the environment, or else the local one.
    ///
    /// # Errors
    /// A setting is wrong, or there is none.
    pub fn find(args: &SiteArgs) -> anyhow::Result<Self> {
        Self::of(Env::from_process(), args)
    }

    /// The one of a given environment, or else the local one.
    ///
    /// # Errors
    /// As for [`Site::find`].
    pub fn of(env: Env, args: &SiteArgs) -> anyhow::Result<Self> {
        let told = env.read(Told::read)?;
        match (&told.kafka, &told.registry) {
            (Some(kafka), Some(registry)) => Self::told(args, &told, kafka.clone(), registry.clone()),
            _ => Self::local(args, told),
        }
    }

    fn told(args: &SiteArgs, told: &Told, kafka: String, registry: String) -> anyhow::Result<Self> {
        // An installation that was started with the same Kafka, for whoever asks in its own shell.
        let secret = match (&told.secret, &args.folder) {
            (Some(secret), _) => Some(*secret),
            (None, Some(folder)) => Some(local_secret(folder)?),
            (None, None) => None,
        };
        Ok(Self {
            kafka,
            registry,
            postgres: told.postgres.clone(),
            namespace: args.namespace.clone().or_else(|| told.namespace.clone()).unwrap_or_default(),
            partitions: told.partitions,
            secret,
            services: told.services.iter().map(|url| (None, url.clone())).collect(),
            local: false,
        })
    }

    fn local(args: &SiteArgs, told: Told) -> anyhow::Result<Self> {
        let folder = match &args.folder {
            Some(folder) => folder.clone(),
            None => local::folder(&find_root()?),
        };
        let written = Written::find(&folder)?;
        let endpoints = match &written {
            Some(written) => written.endpoints.clone(),
            None => local_stack::endpoints(&StackConfig::local(&find_root()?))?
                .context("there is nothing to look at: set BOXOFFICE_KAFKA and the others (docs/configuration.md), or start an installation with `boxctl dev`")?,
        };
        let started = written.as_ref().map(|it| it.namespace.clone()).unwrap_or_default();
        let namespace = args.namespace.clone().or(told.namespace).unwrap_or_else(|| started.clone());
        // What was written down is about its own namespace only.
        let written = written.filter(|_| namespace == started);
        let services = written.iter().flat_map(|it| &it.services).map(|(name, url)| (Some(name.clone()), url.clone()));
        let named = told.services.into_iter().map(|url| (None, url));
        Ok(Self {
            kafka: endpoints.kafka,
            registry: endpoints.registry,
            postgres: Some(endpoints.postgres),
            namespace,
            partitions: told.partitions.or(written.as_ref().map(|it| it.partitions)),
            secret: told.secret.or(local_secret(&folder).ok()),
            services: services.chain(named).collect(),
            local: true,
        })
    }

    /// How its Kafka is reached.
    pub fn kafka(&self) -> KafkaSettings {
        KafkaSettings::new(&self.kafka, &self.namespace, "boxctl")
    }

    /// How many partitions its event topics have: as somebody said, or else as Kafka says.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub async fn partitions(&self) -> anyhow::Result<u32> {
        if let Some(partitions) = self.partitions {
            return Ok(partitions);
        }
        let found = topics::partitions(&self.kafka()).await;
        let found = found.with_context(|| format!("ask Kafka at {} for the topics", self.kafka))?;
        Ok(found.unwrap_or(LOCAL_PARTITIONS))
    }

    /// What instances know each other by.
    ///
    /// # Errors
    /// Nobody said.
    pub fn secret(&self) -> anyhow::Result<Secret32> {
        self.secret.context("BOXOFFICE_SECRET is not set, and there is no local one")
    }
}

fn local_secret(folder: &std::path::Path) -> anyhow::Result<Secret32> {
    // Looking must not make secrets.
    anyhow::ensure!(folder.join("secrets.json").is_file(), "{} has no secrets", folder.display());
    let secrets = LocalSecrets::of(folder)?;
    env::hex32(&secrets.secret).map(Secret32::new).context("secret in secrets.json is not 64 hex digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_given_together() {
        let read = |names: &[&'static str]| {
            let value = |name: &&'static str| match *name {
                "BOXOFFICE_KAFKA" => (*name, "a:1"),
                "BOXOFFICE_POSTGRES" => (*name, "postgres://a"),
                _ => (*name, "http://a"),
            };
            Env::from_map(names.iter().map(value)).read(Told::read)
        };
        for right in [&[][..], &["BOXOFFICE_KAFKA", "BOXOFFICE_REGISTRY"]] {
            assert!(read(right).is_ok(), "{right:?}");
        }
        for wrong in ["BOXOFFICE_KAFKA", "BOXOFFICE_REGISTRY", "BOXOFFICE_POSTGRES"] {
            let Err(error) = read(&[wrong]) else { panic!("{wrong} alone is enough") };
            assert!(error.to_string().contains("some of the others"), "{error}");
        }
    }
}
