//! The log and its keys in files, and back: byte for byte, at the same offsets (docs/recovery.md).

pub mod block;
pub mod files;
pub mod keys;
pub mod manifest;
pub mod read;
pub mod restore;
pub mod round;
pub mod take;
pub mod texts;
pub mod verify;
