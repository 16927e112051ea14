//! The sandbox from outside: vectors of the protocol, and HTTP in and out.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic too")]

#[path = "main/cancel.rs"]
mod cancel;
#[path = "main/create.rs"]
mod create;
#[path = "main/faults.rs"]
mod faults;
#[path = "main/journal.rs"]
mod journal;
#[path = "main/kit.rs"]
mod kit;
#[path = "main/money.rs"]
mod money;
#[path = "main/page.rs"]
mod page;
#[path = "main/paypal/mod.rs"]
mod paypal;
#[path = "main/stripe/mod.rs"]
mod stripe;
#[path = "main/vectors.rs"]
mod vectors;
#[path = "main/vnpay.rs"]
mod vnpay;
#[path = "main/vnpay_api.rs"]
mod vnpay_api;
#[path = "main/vnpay_faults.rs"]
mod vnpay_faults;
#[path = "main/webhooks.rs"]
mod webhooks;
#[path = "main/zalopay.rs"]
mod zalopay;
#[path = "main/zalopay_callbacks.rs"]
mod zalopay_callbacks;
#[path = "main/zalopay_refunds.rs"]
mod zalopay_refunds;
