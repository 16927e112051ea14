//! `boxctl refund` and `boxctl reconcile`: money that goes back by hand, and whether a provider's statement says what
//! the ledger says.

mod ledger;
mod reconcile;
mod refunds;
mod statement;

pub(crate) use reconcile::{Outcome, reconciled};
pub use reconcile::{ReconcileArgs, run as reconcile};
pub use refunds::{Command as RefundCommand, run as refunds};
