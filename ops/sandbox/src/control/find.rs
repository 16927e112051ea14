//! Which payment a path means: an order code or a link of PayOS, the name or the reference of any sale, or
//! `{provider}/{reference}`.

use serde::Deserialize;

use super::Problem;
use crate::books::Books;
use crate::provider::Provider;

/// A payment, by number.
#[derive(Debug, Clone, Copy)]
pub enum Found {
    /// A payment link of PayOS.
    Link(u64),
    /// A sale of any other provider.
    Sale(u64),
}

/// The query of a call about one payment.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Whose it is.
    pub provider: Option<Provider>,
}

/// A payment as a path names it.
pub struct Name<'a> {
    /// Whose it is, if it says so.
    pub provider: Option<Provider>,
    /// The reference, or the provider's own name.
    pub id: &'a str,
}

impl<'a> Name<'a> {
    /// Reads a path; a leading provider wins over the query's.
    pub fn read(path: &'a str, scope: &Scope) -> Self {
        let prefixed = path.split_once('/').and_then(|(first, id)| Some((Provider::named(first)?, id)));
        match prefixed {
            Some((provider, id)) => Self { provider: Some(provider), id },
            None => Self { provider: scope.provider, id: path },
        }
    }

    /// The payment, if there is one.
    pub fn look_up(&self, books: &Books) -> Option<Found> {
        let link = || books.payments().find(self.id).map(|payment| Found::Link(payment.number));
        let sale = || books.sales().find(self.provider, self.id).map(|sale| Found::Sale(sale.number));
        match self.provider {
            Some(Provider::Payos) => link(),
            Some(_) => sale(),
            None => link().or_else(sale),
        }
    }

    /// The payment, or why there is none.
    pub fn find(&self, books: &Books) -> Result<Found, Problem> {
        self.look_up(books).ok_or_else(|| Problem::no_payment(self.id))
    }
}
