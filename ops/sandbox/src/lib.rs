//! A payment provider to test against: plays PayOS by its exact protocol.
//!
//! It stands for what lives outside the shop, so it shares no code with the shop's own client.
//! `payos` is one provider; what lies beside it (clock, ledger, deliveries, scripts, journal, control) serves any.

mod app;
mod books;
mod clock;
mod control;
mod delivery;
mod ids;
mod journal;
mod ledger;
pub mod payos;
mod script;
mod server;
mod settings;
pub mod signature;

pub use script::{Lost, Script, WebhookMode};
pub use server::{Running, start};
pub use settings::Settings;
