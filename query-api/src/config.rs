//! What the process is told by its environment.

use std::time::Duration;

use service_kit::config::{self, Common, Env, Format, Noted, Secrets, Variable};
use service_kit::env;
use service_kit::keys::Secret32;
use service_kit::views::PaymentMethod;

/// Everything.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every process is told.
    pub common: Common,
    /// Where the read models are, user and password included.
    pub postgres: String,
    /// Connections to it at the same time.
    pub connections: u32,
    /// What things are signed, verified and recognised by.
    pub secrets: Secrets,
    /// What the keys of personal data are wrapped by.
    pub master_key: Secret32,
    /// What ticket codes are signed by.
    pub tickets: TicketSettings,
    /// Of event streams.
    pub streams: StreamSettings,
    /// The providers that are set up, with what they collect.
    pub payment_methods: Vec<PaymentMethod>,
}

/// What ticket codes are signed by.
#[derive(Debug, Clone)]
pub struct TicketSettings {
    /// The Ed25519 seed.
    pub seed: Secret32,
    /// What gates know the key by.
    pub key_id: u8,
}

/// Settings of event streams.
#[derive(Debug, Clone, Copy)]
pub struct StreamSettings {
    /// At the same time; more get 503.
    pub max: usize,
    /// A stream ends after so long; clients come again.
    pub life: Duration,
}

impl Config {
    /// Reads it.
    ///
    /// # Errors
    /// Noted in `env`.
    pub fn read(env: &mut Env) -> Result<Self, Noted> {
        let common = Common::read(env, "127.0.0.1:8082");
        let postgres = config::postgres(env);
        let connections = env.with_default(
            "BOXOFFICE_QUERY_CONNECTIONS",
            "16",
            env::whole(2..=1000),
            "Connections to Postgres at the same time.",
        );
        let secrets = Secrets::read(env);
        let master_key = config::master_key(env);
        let tickets = TicketSettings::read(env);
        let streams = StreamSettings::read(env);
        let payment_methods = payment_methods(env);
        Ok(Self {
            common: common?,
            postgres: postgres?,
            connections: connections?,
            secrets: secrets?,
            master_key: master_key?,
            tickets: tickets?,
            streams: streams?,
            payment_methods: payment_methods?,
        })
    }
}

impl TicketSettings {
    fn read(env: &mut Env) -> Result<Self, Noted> {
        let seed = config::ticket_key(env);
        let key_id = env.with_default(
            "BOXOFFICE_TICKET_KEY_ID",
            "1",
            env::whole(0..=u8::MAX),
            "What gates know the key of ticket codes by; another key needs another id.",
        );
        Ok(Self { seed: seed?, key_id: key_id? })
    }
}

impl StreamSettings {
    fn read(env: &mut Env) -> Result<Self, Noted> {
        let max = env.with_default(
            "BOXOFFICE_MAX_STREAMS",
            "5000",
            env::whole(1..=1_000_000),
            "Event streams at the same time; more get 503.",
        );
        let life = env.with_default(
            "BOXOFFICE_STREAM_LIFE_S",
            "3600",
            env::seconds(1..=86_400),
            "An event stream ends after so long; clients come again.",
        );
        Ok(Self { max: max?, life: life? })
    }
}

/// Only whether a provider is set up is of interest here; the keys themselves are checked by who uses them.
fn payment_methods(env: &mut Env) -> Result<Vec<PaymentMethod>, Noted> {
    let set = || Format::new("printable ASCII characters", |_| Some(())).secret();
    let codes = || Format::new("ISO 4217 codes separated by commas", |text| Some(listed(text)));
    let offered = "Where it is set, this provider is among a show's payment methods.";
    let collects = "The currencies in which payments by this provider are offered.";
    let dong = || vec!["VND".to_owned()];
    let payos = env.optional("BOXOFFICE_PAYOS_CLIENT_ID", set(), offered);
    let stripe = env.optional("BOXOFFICE_STRIPE_SECRET_KEY", set(), offered);
    let stripe_takes =
        env.with_default("BOXOFFICE_STRIPE_CURRENCIES", "VND,USD,EUR,GBP,SGD,THB,JPY,AUD", codes(), collects);
    let vnpay = env.optional("BOXOFFICE_VNPAY_TMN_CODE", set(), offered);
    let zalopay = env.optional("BOXOFFICE_ZALOPAY_APP_ID", set(), offered);
    let paypal = env.optional("BOXOFFICE_PAYPAL_CLIENT_ID", set(), offered);
    let paypal_takes = env.with_default(
        "BOXOFFICE_PAYPAL_CURRENCIES",
        "AUD,CAD,CHF,CZK,DKK,EUR,GBP,HKD,HUF,ILS,JPY,MXN,NOK,NZD,PHP,PLN,SEK,SGD,THB,TWD,USD",
        codes(),
        collects,
    );
    let (stripe_takes, paypal_takes) = (stripe_takes?, paypal_takes?);
    let all = [
        ("payos", payos?, dong()),
        ("stripe", stripe?, stripe_takes),
        ("vnpay", vnpay?, dong()),
        ("zalopay", zalopay?, dong()),
        ("paypal", paypal?, paypal_takes),
    ];
    let set_up = all.into_iter().filter(|(_, set, _)| set.is_some());
    Ok(set_up.map(|(provider, _, currencies)| PaymentMethod { provider: provider.to_owned(), currencies }).collect())
}

fn listed(codes: &str) -> Vec<String> {
    codes.split(',').map(|code| code.trim().to_owned()).collect()
}

/// Every variable that this process reads.
pub fn variables() -> Vec<Variable> {
    Env::declared(Config::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> Vec<(&'static str, String)> {
        vec![
            ("BOXOFFICE_KAFKA", "127.0.0.1:9092".to_owned()),
            ("BOXOFFICE_REGISTRY", "http://127.0.0.1:8081".to_owned()),
            ("BOXOFFICE_POSTGRES", "postgres://127.0.0.1/postgres".to_owned()),
            ("BOXOFFICE_SECRET", "01".repeat(32)),
            ("BOXOFFICE_MASTER_KEY", "02".repeat(32)),
            ("BOXOFFICE_TICKET_KEY", "03".repeat(32)),
            ("BOXOFFICE_TOKEN_KEY", "04".repeat(32)),
        ]
    }

    #[test]
    fn the_document_has_every_variable_with_its_default() {
        let document = include_str!("../../docs/configuration.md");
        let ours: Vec<Variable> = variables().into_iter().filter(|it| it.name != "BOXOFFICE_LISTEN").collect();
        let missing = env::undocumented(document, &ours);
        assert!(missing.is_empty(), "docs/configuration.md lacks these rows:\n{}", missing.join("\n"));
    }

    #[test]
    fn payos_is_offered_where_it_is_set_up() {
        let without = Env::from_map(set()).read(Config::read).unwrap();
        assert_eq!((without.payment_methods, without.tickets.key_id), (vec![], 1));
        let with = set().into_iter().chain([("BOXOFFICE_PAYOS_CLIENT_ID", "hunter2".to_owned())]);
        let with = Env::from_map(with).read(Config::read).unwrap();
        assert!(!format!("{with:?}").contains("hunter2"));
        assert_eq!(with.payment_methods[0].provider, "payos");
    }
}
