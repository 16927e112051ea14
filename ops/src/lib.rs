//! boxctl: the operators' and analysts' command line, the local stack and the demo.

pub mod demo;
pub mod dev;
pub mod init;
pub mod local;
pub mod stack;
pub mod token;
