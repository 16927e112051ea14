//! How an order stands. ZaloPay answers for 48 hours after it was opened.

use domain::payment::{Movement, Standing};
use service_kit::clock;

use super::client::{Told, is_transaction};
use super::reference::AppTransId;
use super::{DONG, Zalopay, is_over};
use crate::payments::failure::Trouble;
use crate::payments::gateway::{Attempt, GatewayError, Report};

/// What ZaloPay says of an order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Paid(Movement),
    /// Not yet; perhaps a bank is at it at this moment.
    NotYet {
        processing: bool,
    },
    /// This try was declined, and the payer may try again.
    MayTryAgain,
    Failed,
    Ended,
    Nothing,
}

impl Zalopay {
    pub(super) async fn ask(&self, attempt: &Attempt) -> Result<Report, GatewayError> {
        let name = AppTransId::of(attempt)?;
        let found = self.find(&name).await?;
        let over = is_over(attempt, clock::now());
        let (movements, standing) = match found {
            Found::Paid(money) => (vec![money], Standing::Paid),
            Found::NotYet { processing: false } | Found::MayTryAgain if over => (vec![], Standing::Ended),
            Found::NotYet { .. } | Found::MayTryAgain => (vec![], Standing::Open),
            Found::Failed => (vec![], Standing::Failed),
            Found::Ended => (vec![], Standing::Ended),
            Found::Nothing => return Err(GatewayError::NotFound),
        };
        // Its amount is that of the money, which is told as it came.
        Ok(Report { movements, standing, reference: Some(name.to_string()), url: None, amount: None })
    }

    pub(super) async fn find(&self, name: &AppTransId) -> Result<Found, GatewayError> {
        match self.client.query(name).await {
            Ok(told) => read(&told),
            Err(failure) => Err(failure.of_question()),
        }
    }
}

fn read(told: &Told) -> Result<Found, GatewayError> {
    match (told.code, told.sub) {
        (1, _) => paid(told),
        (3, _) => Ok(Found::NotYet { processing: told.is("is_processing") }),
        // Expired; cancelled by the payer.
        (2, -54 | -329 | -49) => Ok(Found::Ended),
        // The balance is too low.
        (2, -63) => Ok(Found::MayTryAgain),
        (2, -101 | -92) => Ok(Found::Nothing),
        (2, _) => Ok(Found::Failed),
        _ => Err(unreadable("return_code is none of query's")),
    }
}

fn paid(told: &Told) -> Result<Found, GatewayError> {
    let reference = told.text("zp_trans_id");
    let amount = told.number("amount").filter(|amount| *amount > 0 && is_transaction(&reference));
    let amount = amount.ok_or_else(|| unreadable("money has no amount or no name"))?;
    Ok(Found::Paid(Movement { reference, amount, currency: *DONG, fee: 0 }))
}

fn unreadable(what: &'static str) -> GatewayError {
    GatewayError::Unavailable { retry_after: None, cause: Box::new(Trouble::Unreadable(what.into())) }
}
