//! The wrapped data keys of persons, from the compacted topic `person-keys`. A tombstone takes the key away: the
//! person is forgotten.
//!
//! Invariant: once the topic was read to its end, a key is here exactly if the topic has it. What compaction has
//! removed altogether is swept: it was not touched by anybody since the reading began.
//!
//! View `person_keys`:
//!
//! | column | type | |
//! |---|---|---|
//! | `key_id` | uuid | what ciphertexts name it by |
//! | `master_key_id` | uuid | the master key that wraps it |
//! | `wrapped` | bytea | for `schemas::sealed::MasterKeys::unwrap` |
//!
//! Its row in `checkpoints` (context `person-keys`, partition 0) only says whether the topic was read to its end
//! (`next_offset` 1); `identity` is drawn when the table is filled anew.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use event_log::kafka::{CompactedFollowed, CompactedFollower, KeyedRecord};
use event_log::log::Following;
use schemas::{Codec, DecodeError, PersonKey};
use sqlx::PgConnection;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use crate::decoding::learn;
use crate::generations::{Control, Filled, Generation, Target};
use crate::light::Light;
use crate::model::{Layout, Touched, View, column};
use crate::run::FollowKeys;
use crate::store::{Store, Stores, is_missing};
use crate::worker::{Refused, retry};

/// A tombstone stays as a row without key, so that an older record of a slower process does not bring the key back.
const TABLES: &str = "
create table if not exists person_keys (
    key_id uuid primary key,
    master_key_id uuid,
    wrapped bytea,
    at_offset bigint not null,
    touched bigint not null
);
create sequence if not exists touches;
";

const PERSON_KEYS: View = View {
    name: "person_keys",
    query: "
select key_id, master_key_id, wrapped
from {person_keys}.person_keys
where wrapped is not null",
};

/// Its tables and view. It is no [`crate::ReadModel`], because its topic holds no events.
pub const LAYOUT: Layout = Layout {
    name: "person_keys",
    version: 1,
    tables: TABLES,
    table_names: &["person_keys"],
    views: &[PERSON_KEYS],
    merges: &[],
};

pub(crate) const CONTEXT: &str = "person-keys";
/// Messages of the log that wait for us; then its threads do.
const WAITING: usize = 16;
/// Messages in one transaction.
const MESSAGES: usize = 16;

/// The last word about each key: its offset, and the key unless it was taken away.
type Keys = BTreeMap<Uuid, (i64, Option<PersonKey>)>;

/// One reading of the topic.
#[derive(Debug, Clone, Copy)]
struct Pass {
    /// Of the filling that it belongs to; another one means that the table was emptied.
    filling: Uuid,
    /// What was last touched before this is older than the pass.
    since: i64,
}

/// Fills the table.
pub(crate) struct Filler {
    stores: Stores,
    control: Control,
    /// The generation that is filled.
    store: Store,
    light: Light,
    codec: Codec,
    follow: FollowKeys,
    look_every: Duration,
}

impl Filler {
    pub(crate) fn new(
        (stores, control): (Stores, Control),
        light: Light,
        codec: Codec,
        follow: FollowKeys,
        look_every: Duration,
    ) -> Self {
        let store = stores.of(Generation::first(&LAYOUT));
        Self { stores, control, store, light, codec, follow, look_every }
    }

    pub(crate) async fn run(mut self) -> Result<Infallible, Refused> {
        let mut control = self.control.clone();
        loop {
            let target = match control.target(&LAYOUT).await {
                Ok(target) => target,
                Err(error) => {
                    self.light.database_fails("look up which generation to fill", &error);
                    control.looked().await;
                    continue;
                }
            };
            self.light.paused(matches!(target, Target::Paused(_)));
            tokio::select! {
                () = control.other(&LAYOUT, target) => {}
                _ = self.pursue(target) => {}
            }
        }
    }

    async fn pursue(&mut self, target: Target) -> Infallible {
        let Target::Fill(generation) = target else {
            self.control.duty.is(LAYOUT.name, None);
            self.light.caught_up();
            return std::future::pending().await;
        };
        self.store = self.stores.of(generation);
        let partitions = BTreeSet::from([0]);
        self.control.duty.is(LAYOUT.name, Some(Filled { generation: generation.number, partitions }));
        let mut backoff = retry();
        loop {
            match self.begin().await {
                Ok(pass) => {
                    self.light.database_answers();
                    self.light.behind();
                    self.fill(pass).await;
                }
                Err(error) => self.light.database_fails("begin to read the persons' keys", &error),
            }
            backoff.wait().await;
        }
    }

    async fn begin(&self) -> Result<Pass, sqlx::Error> {
        self.store.ensure().await?;
        let mut tx = self.store.begin_raw().await?;
        let insert = sqlx::query(
            "insert into checkpoints (context, partition, next_offset, identity, term, claim, seq, hole, updated_at)
             values ($1, 0, 0, gen_random_uuid(), 0, '00000000-0000-0000-0000-000000000000', 0, false, now())
             on conflict do nothing",
        );
        insert.bind(CONTEXT).execute(&mut *tx).await?;
        let (filling, since): (Uuid, i64) =
            sqlx::query_as("select identity, nextval('touches') from checkpoints where context = $1")
                .bind(CONTEXT)
                .fetch_one(&mut *tx)
                .await?;
        tx.commit().await?;
        Ok(Pass { filling, since })
    }

    /// Until the table is found to have been emptied.
    async fn fill(&mut self, pass: Pass) {
        let (sender, mut received) = mpsc::channel(WAITING);
        // Nobody takes it any more after the pass.
        let follower: CompactedFollower = Arc::new(move |followed| drop(sender.blocking_send(followed)));
        let following: Box<dyn Following> = (self.follow)(follower);
        loop {
            let mut messages = Vec::new();
            // Nothing for a while is a batch of nothing: it finds out whether the table is still the same.
            let _ = timeout(self.look_every, received.recv_many(&mut messages, MESSAGES)).await;
            let mut keys = Keys::new();
            let mut caught_up = false;
            for message in messages {
                match message {
                    CompactedFollowed::Records(records) => self.read(records, &mut keys).await,
                    CompactedFollowed::CaughtUp => caught_up = true,
                }
            }
            if !self.write(pass, &keys, caught_up).await {
                break;
            }
            if caught_up {
                self.light.caught_up();
            }
        }
        // First the receiver: whoever waits to hand something over then returns.
        drop(received);
        drop(following);
    }

    async fn read(&mut self, records: Vec<KeyedRecord>, keys: &mut Keys) {
        for record in records {
            let place = format!("{CONTEXT}/{} at offset {}", record.partition, record.offset);
            match self.decoded(&record).await {
                Ok((id, key)) => drop(keys.insert(id, (record.offset, key))),
                // The other keys are as good as before; this one's data stays closed until somebody has looked.
                Err(detail) => self.light.broke(place, &detail),
            }
        }
    }

    async fn decoded(&self, record: &KeyedRecord) -> Result<(Uuid, Option<PersonKey>), String> {
        let id = Uuid::try_parse_ascii(&record.key).map_err(|_| "its key is no id".to_owned())?;
        let Some(value) = &record.value else {
            return Ok((id, None));
        };
        loop {
            match self.codec.decode_person_key(value) {
                Ok(key) if key.key_id == id => return Ok((id, Some(key))),
                Ok(_) => return Err("it belongs to another key".to_owned()),
                Err(DecodeError::UnlearnedSchema(id)) => learn(&self.codec, id).await?,
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// False if the table was emptied, or is gone.
    async fn write(&mut self, pass: Pass, keys: &Keys, caught_up: bool) -> bool {
        let mut backoff = retry();
        loop {
            match self.try_write(pass, keys, caught_up).await {
                Ok(here) => {
                    self.light.database_answers();
                    return here;
                }
                Err(error) => {
                    self.light.database_fails("write the persons' keys", &error);
                    if is_missing(&error) {
                        return false;
                    }
                }
            }
            backoff.wait().await;
        }
    }

    async fn try_write(&self, pass: Pass, keys: &Keys, caught_up: bool) -> Result<bool, sqlx::Error> {
        let mut tx = self.store.begin_raw().await?;
        let filling: Option<Option<Uuid>> =
            sqlx::query_scalar("select identity from checkpoints where context = $1 for update")
                .bind(CONTEXT)
                .fetch_optional(&mut *tx)
                .await?;
        if filling.flatten() != Some(pass.filling) {
            return Ok(false);
        }
        if keys.is_empty() && !caught_up {
            return Ok(true);
        }
        write_keys(&mut tx, keys).await?;
        if caught_up {
            sweep(&mut tx, pass).await?;
        }
        self.store.tell(&mut tx, &Touched::default()).await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn write_keys(tx: &mut PgConnection, keys: &Keys) -> Result<(), sqlx::Error> {
    let rows: Vec<(&Uuid, &(i64, Option<PersonKey>))> = keys.iter().collect();
    let query = sqlx::query(
        "insert into person_keys as p (key_id, master_key_id, wrapped, at_offset, touched)
         select key_id, master_key_id, wrapped, at_offset, nextval('touches')
         from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bigint[]) as k (key_id, master_key_id, wrapped, at_offset)
         on conflict (key_id) do update set
            master_key_id = case when excluded.at_offset >= p.at_offset then excluded.master_key_id
                else p.master_key_id end,
            wrapped = case when excluded.at_offset >= p.at_offset then excluded.wrapped else p.wrapped end,
            at_offset = greatest(excluded.at_offset, p.at_offset),
            touched = excluded.touched",
    );
    let query = query
        .bind(column(&rows, |(id, _)| **id))
        .bind(column(&rows, |(_, (_, key))| key.as_ref().map(|key| key.master_key_id)))
        .bind(column(&rows, |(_, (_, key))| key.as_ref().map(|key| key.wrapped.clone())))
        .bind(column(&rows, |(_, (offset, _))| *offset));
    query.execute(tx).await?;
    Ok(())
}

async fn sweep(tx: &mut PgConnection, pass: Pass) -> Result<(), sqlx::Error> {
    sqlx::query("delete from person_keys where touched < $1").bind(pass.since).execute(&mut *tx).await?;
    sqlx::query("update checkpoints set next_offset = 1, updated_at = now() where context = $1")
        .bind(CONTEXT)
        .execute(tx)
        .await?;
    Ok(())
}
