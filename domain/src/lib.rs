//! The aggregates, events and saga rules of Boxoffice: pure, without I/O or clock.

pub mod account;
pub mod breakage;
pub mod event;
mod event_name;
pub mod ids;
pub mod inventory;
pub mod order;
pub mod payment;
pub mod principal;
pub mod queue;
pub mod root;
pub mod saga;
pub mod short;
pub mod show;
pub mod ticket;
pub mod trace;
pub mod value;
