//! boxctl: the operators' and analysts' command line, the local stack and the demo.

pub mod analysts;
pub mod audit;
pub mod check;
pub mod config;
pub mod demo;
pub mod dev;
pub mod drill;
pub mod failover;
pub mod faults;
pub mod front_door;
pub mod init;
pub mod load;
pub mod local;
pub mod log;
pub mod money;
pub mod partitions;
pub mod queue;
pub mod simulate;
pub mod stack;
pub mod supervisor;
pub mod token;
pub mod topology;
