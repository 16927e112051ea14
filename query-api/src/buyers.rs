//! Opens personal data for whoever may see it.
//!
//! Invariant: a key is kept for at most [`KEPT`], so that a person who was forgotten is gone for readers soon after.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ids::OrderId;
use domain::value::Sealed;
use futures::future::try_join_all;
use schemas::PersonKey;
use schemas::sealed::{self, DataKey, MasterKey, MasterKeys, OpenError};
use service_kit::keys::Secret32;
use service_kit::problem::Problem;
use service_kit::views::Buyer;
use sqlx::FromRow;
use tokio::time::Instant;
use uuid::Uuid;

use crate::database::{Database, Failed};
use crate::together::Together;

/// How long a key is kept.
const KEPT: Duration = Duration::from_secs(5);
/// No more of them.
const MOST: usize = 10_000;

/// Opens what buyers wrote.
#[derive(Debug)]
pub struct Buyers {
    masters: MasterKeys,
    wrapped: Together<Uuid, Option<Arc<Row>>>,
    kept: Mutex<HashMap<Uuid, (Instant, DataKey)>>,
}

#[derive(Debug, FromRow)]
struct Row {
    key_id: Uuid,
    master_key_id: Uuid,
    wrapped: Vec<u8>,
}

impl Buyers {
    /// With the key that wraps persons' keys, inside a tokio runtime.
    pub fn new(master: &Secret32, database: Database) -> Self {
        let masters = MasterKeys::new(MasterKey::new(*master.expose()), []);
        Self { masters, wrapped: wrapped(database), kept: Mutex::default() }
    }

    /// The buyers of these orders, in their order; none where the person was forgotten.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn open(&self, orders: &[(OrderId, Option<&[u8]>)]) -> Result<Vec<Option<Buyer>>, Problem> {
        let ciphertext = |bytes: Option<&[u8]>| bytes.map(|bytes| Sealed(bytes.to_vec()));
        let sealed: Vec<(OrderId, Option<Sealed>)> = orders.iter().map(|(id, it)| (*id, ciphertext(*it))).collect();
        let named = sealed.iter().filter_map(|(_, it)| it.as_ref());
        let wanted: BTreeSet<Uuid> = named.filter_map(|it| sealed::key_id(it).ok()).collect();
        let keys = self.keys(&wanted).await?;
        Ok(sealed.iter().map(|(order, sealed)| sealed.as_ref().and_then(|it| opened(&keys, *order, it))).collect())
    }

    async fn keys(&self, wanted: &BTreeSet<Uuid>) -> Result<BTreeMap<Uuid, DataKey>, Problem> {
        let now = Instant::now();
        let mut keys = BTreeMap::new();
        {
            let kept = self.kept();
            let fresh =
                |id: &&Uuid| kept.get(*id).filter(|(until, _)| *until > now).map(|(_, key)| (**id, key.clone()));
            keys.extend(wanted.iter().filter_map(|id| fresh(&id)));
        }
        let missing = wanted.iter().filter(|id| !keys.contains_key(id)).map(|id| self.wrapped.ask(*id));
        let rows = try_join_all(missing).await?;
        let found: Vec<DataKey> = rows.iter().flatten().filter_map(|row| self.unwrap(row)).collect();
        self.keep(now + KEPT, &found);
        keys.extend(found.into_iter().map(|key| (key.id, key)));
        Ok(keys)
    }

    fn unwrap(&self, row: &Row) -> Option<DataKey> {
        let record = PersonKey { key_id: row.key_id, master_key_id: row.master_key_id, wrapped: row.wrapped.clone() };
        match self.masters.unwrap(&record) {
            Ok(key) => Some(key),
            Err(error) => {
                tracing::error!(%error, key.id = %record.key_id, "a person's key cannot be unwrapped");
                None
            }
        }
    }

    fn keep(&self, until: Instant, keys: &[DataKey]) {
        let mut kept = self.kept();
        if kept.len() + keys.len() > MOST {
            kept.clear();
        }
        kept.extend(keys.iter().map(|key| (key.id, (until, key.clone()))));
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Uuid, (Instant, DataKey)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys of persons, as they are kept.
fn wrapped(database: Database) -> Together<Uuid, Option<Arc<Row>>> {
    Together::new(database, keys_of)
}

async fn keys_of(database: Database, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Option<Arc<Row>>>, Failed> {
    let query = sqlx::query_as("select key_id, master_key_id, wrapped from person_keys where key_id = any($1)");
    let rows: Vec<Row> = database.ask(query.bind(ids).fetch_all(database.pool())).await?;
    Ok(rows.into_iter().map(|row| (row.key_id, Some(Arc::new(row)))).collect())
}

fn opened(keys: &BTreeMap<Uuid, DataKey>, order: OrderId, sealed: &Sealed) -> Option<Buyer> {
    match sealed::Buyer::open(keys, sealed, order.0.as_bytes()) {
        Ok(buyer) => Some(Buyer { name: buyer.name, email: buyer.email, phone: buyer.phone }),
        Err(OpenError::Erased) => None,
        Err(error) => {
            tracing::error!(%error, order.id = %order, "a buyer's data cannot be opened");
            None
        }
    }
}
