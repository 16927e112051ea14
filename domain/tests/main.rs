//! The rules of the domain as given, when, then; its laws as properties.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod account;
#[cfg(feature = "breakages")]
mod breakages;
mod common;
mod inventory;
mod inventory_admission;
mod order;
mod part_properties;
mod payment;
mod properties;
mod queue;
mod queue_board;
mod queue_draw;
mod queue_ends;
mod queue_model;
mod queue_properties;
mod queue_story;
mod queue_world;
mod refunds;
mod saga;
mod saga_queue;
mod show;
mod show_room;
mod size;
mod ticket;
mod travel;
mod world;
