//! A payment provider to test against: plays PayOS by its exact protocol.
