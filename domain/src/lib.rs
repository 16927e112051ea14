//! The aggregates, events and saga rules of Boxoffice: pure, without I/O or clock.
