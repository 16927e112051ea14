//! A payment provider to test against: plays PayOS, Stripe, VNPay, ZaloPay and PayPal by their exact protocols.
//!
//! It stands for what lives outside the shop, so it shares no code with the shop's own client. Each provider is a
//! folder with its protocol; what lies beside them (sales, clock, ledger, deliveries, scripts, journal, control,
//! payment page) serves all.

mod app;
mod books;
mod clock;
mod control;
mod delivery;
mod faults;
mod form;
mod ids;
mod journal;
mod ledger;
mod notice;
mod page;
pub mod payos;
pub mod paypal;
mod provider;
mod replays;
mod sale;
mod script;
mod serial;
mod server;
mod settings;
pub mod signature;
pub mod stripe;
mod vietnam;
pub mod vnpay;
pub mod zalopay;

pub use provider::Provider;
pub use script::{Keys, Lost, LostHow, Outcome, Script, WebhookMode};
pub use server::{Running, start};
pub use settings::{PaypalKeys, Settings, StripeKeys, VnpayKeys, ZalopayKeys};
