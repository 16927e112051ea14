//! What boxctl does beside the services: the front door, the supervisor, and the document of settings.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod analysts;
mod audit;
mod backup;
mod configuration;
mod demo;
mod front_door;
mod leftovers;
mod load;
mod local;
mod observability;
mod operating;
mod supervisor;
mod support;
