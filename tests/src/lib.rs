//! Whole-system tests: HTTP in, HTTP out, on real servers.
