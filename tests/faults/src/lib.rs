//! Fault tests on real processes: what is killed, frozen, cut and misled under load, and that nothing acknowledged is lost
//! by it.
//!
//! Invariant: a run that did not do what it is for fails. Nobody in doubt or nobody fenced, where that must be, is void.

pub mod client;
pub mod fault;
pub mod life;
pub mod load;
pub mod processes;
pub mod run;
pub mod servers;
pub mod surgery;
pub mod table;

pub use fault::{Fault, Must, Place, Play};
pub use run::Site;

/// Every fault, in the order of the table.
pub fn all() -> Vec<&'static Fault> {
    let all = processes::ALL.iter().chain(life::ALL).chain(surgery::ALL).chain(servers::ALL);
    all.collect()
}
