//! What a worker process is told, as JSON on its standard input.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::schedule::Phase;

/// The work of one process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Which of the processes this is, from 0.
    pub number: u64,
    /// Arrivals, choices and ids come from it.
    pub seed: u64,
    /// When to begin: the wall clock, microseconds UTC.
    pub start_us: i64,
    /// Seconds before the measurement counts.
    pub warm_up_s: u64,
    /// Arrivals of this process.
    pub phases: Vec<Phase>,
    /// How long answers are waited for after the last arrival, seconds.
    pub farewell_s: u64,
    /// Where writes go, in turn.
    pub command: Vec<SocketAddr>,
    /// Where reads go, in turn.
    pub query: Vec<SocketAddr>,
    /// The payment provider that plays along.
    pub sandbox: Option<SocketAddr>,
    /// Connections to each server at most.
    pub connections: usize,
    /// What each arrival does.
    pub journey: Journey,
    /// What is on sale, the most wanted first.
    pub shows: Vec<Sale>,
    /// Zipf's exponent of how wanted they are; 0: all alike.
    pub zipf: f64,
    /// Accounts' tokens, used in turn.
    pub bearers: Vec<String>,
    /// Where acknowledged orders are written, 32 bytes each: the order's id and the show's.
    pub acknowledged: Option<PathBuf>,
}

/// A ticket class on sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// The show.
    pub show: Uuid,
    /// Its class.
    pub ticket_class: Uuid,
    /// Of one ticket, minor units of VND; 0: free, and no payment is asked for.
    pub price: i64,
}

/// What an arrival does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Journey {
    /// Orders one ticket, until its 201.
    Order {
        /// Whether reads are asked now and then how far behind they are.
        probe: bool,
    },
    /// Waits in line, orders, pays, and takes the tickets.
    Purchase(Habits),
    /// Reads: the show, what is left, an order, its tickets.
    Queries {
        /// Orders that are placed before, to be read.
        orders: usize,
    },
}

/// What buyers do beside paying at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Habits {
    /// So many walk away from the payment page, of one.
    pub walk_away: f64,
    /// So many are declined first and then pay.
    pub declined: f64,
    /// So many payments are told twice.
    pub twice: f64,
    /// So many purchases one after the other instead of arrivals at random; 0: at random.
    pub one_by_one: u32,
}
