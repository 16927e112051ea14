//! What a worker of a crowd is told.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The work of one process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Which of the processes this is, from 0.
    pub number: u32,
    /// How many there are.
    pub processes: u32,
    /// Keys, phases and pauses come from it.
    pub seed: u64,
    /// How many people this process plays.
    pub people: usize,
    /// Whose waiting room.
    pub show: Uuid,
    /// Where writes go.
    pub command: Vec<SocketAddr>,
    /// Where people ask; each stays with one as long as it answers.
    pub query: Vec<SocketAddr>,
    /// Connections to each server at most, sockets apart.
    pub connections: usize,
    /// How long the room gives to enter, seconds: whoever is told until when knows from it when the admission was.
    pub enter_s: i64,
    /// Between entering and leaving, milliseconds.
    pub stay_ms: u64,
    /// What is done, one after the other; each begins when all processes are told to.
    pub stages: Vec<Stage>,
    /// Whoever has no place so long after the last arrival gets none, seconds; also how long the last answers may take.
    pub farewell_s: u64,
    /// Where acknowledged places are written, 20 bytes each: the session and the number.
    pub acknowledged: Option<PathBuf>,
}

/// One thing that all do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Stage {
    /// All join.
    Join {
        /// Evenly over so many seconds.
        within_s: f64,
    },
    /// All ask again and again where they are; whoever is admitted enters, leaves, and is followed by somebody new.
    Poll {
        /// Between two questions of the same person.
        every_ms: u64,
        /// How long.
        seconds: u64,
    },
    /// All open a socket.
    Connect {
        /// Evenly over so many seconds.
        within_s: f64,
    },
    /// All wait, and nobody who is admitted moves.
    Idle {
        /// How long.
        seconds: u64,
    },
    /// Whoever is admitted enters and leaves.
    Admit {
        /// How long.
        seconds: u64,
    },
}

impl Stage {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Join { .. } => "join",
            Self::Poll { .. } => "poll",
            Self::Connect { .. } => "connect",
            Self::Idle { .. } => "idle",
            Self::Admit { .. } => "admit",
        }
    }
}
