//! What several instances promise together.

mod forwarding;
mod instance;
mod moving;
mod start;
mod till;
