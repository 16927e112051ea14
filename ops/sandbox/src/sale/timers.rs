//! What happens to a sale by itself, by the sandbox's clock: it expires, pending money settles, a script pays it.

use std::sync::Arc;

use jiff::Timestamp;

use super::actions::{self, Money};
use super::{Sale, refunds};
use crate::app::App;
use crate::clock::later_ms;

/// Starts the timers of a new sale.
pub fn watch(app: &Arc<App>, sale: &Sale) {
    expire_in_time(app, sale);
    if let Some(pause_ms) = sale.script.auto_pay_ms {
        let (number, due) = (sale.number, later_ms(app.clock.now(), pause_ms));
        at(app, due, move |app| {
            // Whoever ended it meanwhile was faster.
            let _ = actions::pay(app, number, &Money::default());
        });
    }
}

/// Takes up what an earlier run left waiting.
pub fn resume(app: &Arc<App>) {
    let sales: Vec<Sale> = app.books().sales().iter().cloned().collect();
    for sale in sales {
        expire_in_time(app, &sale);
        for capture in &sale.captures {
            if let Some(due) = capture.due {
                settle_capture_at(app, sale.number, capture.reference.clone(), due.at);
            }
        }
        for refund in &sale.refunds {
            if let Some(due) = refund.due {
                settle_refund_at(app, sale.number, refund.id.clone(), due.at);
            }
        }
    }
}

/// Settles a pending capture when it is due.
pub fn settle_capture_at(app: &Arc<App>, number: u64, reference: String, due: Timestamp) {
    at(app, due, move |app| actions::settle_capture(app, number, &reference, None));
}

/// Settles a pending refund when it is due.
pub fn settle_refund_at(app: &Arc<App>, number: u64, id: String, due: Timestamp) {
    at(app, due, move |app| refunds::settle_refund(app, number, &id, None));
}

fn expire_in_time(app: &Arc<App>, sale: &Sale) {
    let (Some(expiry), true) = (sale.expires_at, sale.state.is_open()) else { return };
    let number = sale.number;
    at(app, expiry, move |app| actions::lapse(app, number));
}

fn at(app: &Arc<App>, due: Timestamp, act: impl FnOnce(&Arc<App>) + Send + 'static) {
    let task_app = Arc::clone(app);
    app.spawn(async move {
        task_app.clock.wait_until(due).await;
        act(&task_app);
    });
}
