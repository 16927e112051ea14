//! A namespace in the shared Postgres, a read side over it, and a hand that writes rows as projectors do.

use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use domain::event::Event;
use domain::root::{Context, Meta};
use local_stack::{StackConfig, find_root, up};
use projectors::{Envelope, LAYOUTS, Names, ReadModel, context_name};
use query_api::config::Config;
use query_api::service::Service;
use schemas::PersonKey;
use schemas::sealed::{DataKey, MasterKey, MasterKeys};
use service_kit::auth::Auth;
use service_kit::config::Env;
use service_kit::health::Health;
use service_kit::keys::Keys;
use service_kit::random;
use sqlx::{AssertSqlSafe, PgPool};
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;
use uuid::Uuid;

/// The log that checkpoints are of.
pub const LOG: Uuid = Uuid::from_u128(0x10c);

pub struct World {
    pub pool: PgPool,
    pub names: Names,
    pub config: Config,
    pub health: Health,
    pub shutdown: CancellationToken,
    pub router: Router,
    pub openapi: OpenApi,
    service: Service,
    masters: MasterKeys,
}

impl World {
    pub async fn new() -> Self {
        Self::with([]).await
    }

    pub async fn with<const N: usize>(more: [(&str, &str); N]) -> Self {
        let url = tokio::task::spawn_blocking(postgres).await.unwrap();
        let namespace = format!("q{}", &random::opaque_id().simple().to_string()[..12]);
        let names = Names::of(&namespace).unwrap();
        let pool = PgPool::connect(&url).await.unwrap();
        projectors::ensure(&pool, &names).await.unwrap();
        let mut env: Vec<(String, String)> = settings(&url, &namespace);
        env.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let config = Env::from_map(env).read(Config::read).unwrap();
        let (health, shutdown) = (Health::default(), CancellationToken::new());
        let service = Service::start(&config, &health, shutdown.clone()).unwrap();
        let (router, openapi) = service.routes().split_for_parts();
        let masters = MasterKeys::new(MasterKey::new(*config.master_key.expose()), []);
        Self { pool, names, config, health, shutdown, router, openapi, service, masters }
    }

    pub fn auth(&self) -> Auth {
        self.config.secrets.auth()
    }

    pub fn keys(&self) -> Keys {
        self.config.secrets.keys()
    }

    /// Writes what this event changes in every read model, and notifies.
    pub async fn tell(&self, at_us: i64, event: impl Into<Event>) {
        let envelope = envelope(at_us, event.into());
        self.fold::<projectors::shows::Shows>(&envelope).await;
        self.fold::<projectors::inventory::Inventory>(&envelope).await;
        self.fold::<projectors::orders::Orders>(&envelope).await;
        self.fold::<projectors::payments::Payments>(&envelope).await;
        self.fold::<projectors::tickets::Tickets>(&envelope).await;
    }

    async fn fold<M: ReadModel>(&self, envelope: &Envelope) {
        let mut changes = M::Changes::default();
        M::fold(&mut changes, envelope);
        let mut tx = self.pool.begin().await.unwrap();
        let schema = self.names.first(&M::LAYOUT);
        let set = sqlx::query("select set_config('search_path', $1, true)").bind(schema);
        set.execute(&mut *tx).await.unwrap();
        M::write(&mut changes, &mut tx).await.unwrap();
        let touched = M::touched(&changes).orders.into_iter().map(|id| id.0.simple().to_string());
        let touched: Vec<String> = touched.collect();
        if !touched.is_empty() {
            notify(&mut tx, &self.names.orders_channel(), &touched.join(",")).await;
        }
        tx.commit().await.unwrap();
    }

    /// Moves a checkpoint, and notifies.
    pub async fn passed(&self, model: &str, context: Context, partition: i32, next: i64, log: Uuid) {
        let layout = LAYOUTS.iter().find(|layout| layout.name == model).unwrap();
        let sql = format!(
            "insert into {}.checkpoints (context, partition, next_offset, identity, term, claim, seq, hole, updated_at)
             values ($1, $2, $3, $4, 1, $4, 1, false, now())
             on conflict (context, partition) do update set next_offset = $3, identity = $4",
            self.names.first(layout)
        );
        let mut tx = self.pool.begin().await.unwrap();
        let moved = sqlx::query(AssertSqlSafe(sql)).bind(context_name(context)).bind(partition).bind(next).bind(log);
        moved.execute(&mut *tx).await.unwrap();
        notify(&mut tx, &self.names.checkpoints_channel(), model).await;
        tx.commit().await.unwrap();
    }

    /// A person's key, in the table that the projectors fill.
    pub async fn person_key(&self) -> DataKey {
        let random = ring::rand::SystemRandom::new();
        let key = DataKey::generate(random::opaque_id(), &random).unwrap();
        let PersonKey { key_id, master_key_id, wrapped } = self.masters.wrap(&key, &random).unwrap();
        let sql = format!(
            "insert into {}.person_keys (key_id, master_key_id, wrapped, at_offset, touched) values ($1, $2, $3, 0, 0)",
            self.names.first(&projectors::person_keys::LAYOUT)
        );
        let kept = sqlx::query(AssertSqlSafe(sql)).bind(key_id).bind(master_key_id).bind(wrapped);
        kept.execute(&self.pool).await.unwrap();
        key
    }

    /// As a tombstone does.
    pub async fn forget(&self, key: Uuid) {
        let schema = self.names.first(&projectors::person_keys::LAYOUT);
        let sql = format!("update {schema}.person_keys set wrapped = null, master_key_id = null where key_id = $1");
        sqlx::query(AssertSqlSafe(sql)).bind(key).execute(&self.pool).await.unwrap();
    }

    pub async fn execute(&self, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.pool).await.unwrap();
    }

    /// Stops, and drops what the test made.
    pub async fn end(self) {
        tokio::time::timeout(Duration::from_secs(10), self.service.stop()).await.expect("the service stops");
        projectors::forget(&mut self.pool.acquire().await.unwrap(), &self.names).await.unwrap();
    }
}

fn postgres() -> String {
    static URL: OnceLock<String> = OnceLock::new();
    let config = StackConfig::for_tests(&find_root().unwrap());
    URL.get_or_init(|| up(&config, &mut |_| {}).unwrap().postgres).clone()
}

fn settings(url: &str, namespace: &str) -> Vec<(String, String)> {
    let all = [
        ("BOXOFFICE_KAFKA", "127.0.0.1:1"),
        ("BOXOFFICE_REGISTRY", "http://127.0.0.1:1"),
        ("BOXOFFICE_POSTGRES", url),
        ("BOXOFFICE_NAMESPACE", namespace),
        ("BOXOFFICE_QUERY_CONNECTIONS", "4"),
        ("BOXOFFICE_PAYOS_CLIENT_ID", "client"),
        ("BOXOFFICE_SECRET", &"01".repeat(32)),
        ("BOXOFFICE_MASTER_KEY", &"02".repeat(32)),
        ("BOXOFFICE_TICKET_KEY", &"03".repeat(32)),
        ("BOXOFFICE_TOKEN_KEY", &"04".repeat(32)),
    ];
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

pub async fn notify(tx: &mut sqlx::PgConnection, channel: &str, message: &str) {
    let told = sqlx::query("select pg_notify($1, $2)").bind(channel).bind(message);
    told.execute(tx).await.unwrap();
}

pub fn envelope(at_us: i64, event: Event) -> Envelope {
    let id = random::opaque_id();
    let meta = Meta {
        event_id: id,
        occurred_at: domain::value::Timestamp(at_us),
        version: 1,
        correlation_id: id,
        causation_id: id,
        actor: "system".to_owned(),
    };
    Envelope { meta, event, partition: 0, offset: 0 }
}
