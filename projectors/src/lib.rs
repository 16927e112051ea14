//! Folds the event topics into Postgres read models: one file each, and one loop for all.
//!
//! Every read model has [`generations`]: tables, and its checkpoints beside them, in a schema of its own
//! (`<namespace>_<name>_v<version>_g<generation>`; the empty namespace is called `boxoffice`). Readers use the views in
//! the schema `<namespace>`, which show the live ones: [`shows`], [`inventory`], [`orders`], [`payments`], [`ledger`],
//! [`tickets`], [`queue`] and [`person_keys`] document them; the view `checkpoints` has `projection`, `context`,
//! `partition`, `next_offset`, `identity`, `term`, `claim`, `seq`, `hole`, `updated_at`; the view `projections` has
//! `projection`, `version`, `generation`, `live_since`, `paused_at`. Nothing is in them that the logs do not hold:
//! emptied, they are filled again.
//!
//! Invariant: rows and checkpoints move in one transaction, so that every event counts exactly once, however many
//! processes run.

mod checkpoints;
mod config;
mod decoding;
mod ends;
pub mod generations;
mod intake;
pub mod inventory;
pub mod ledger;
mod light;
pub mod memory;
mod model;
mod names;
pub mod orders;
pub mod parked;
pub mod payments;
pub mod person_keys;
mod postgres;
mod projection;
pub mod queue;
pub mod rebuild;
pub mod rows;
mod run;
mod schema;
mod share;
pub mod shows;
mod steps;
mod store;
pub mod tickets;
pub mod verify;
mod views;
mod worker;

pub use checkpoints::{context_name, position};
pub use config::{Config, variables};
pub use model::{Envelope, Layout, ReadModel, Touched, View};
pub use names::{BadNamespace, Names};
pub use projection::{Loaded, Projection, Source, Written, load, look};
pub use run::{FollowKeys, Logs, RunError, Settings, run};
pub use schema::{LAYOUTS, READS, WipeError, ensure, forget, schemas, sources, wipe};
pub use store::{RowStore, Transaction};
pub use worker::Refused;
