//! The aggregates, events and saga rules of Boxoffice: pure, without I/O or clock.

pub mod event;
pub mod ids;
pub mod inventory;
pub mod order;
pub mod payment;
pub mod root;
pub mod saga;
pub mod show;
pub mod ticket;
pub mod value;
