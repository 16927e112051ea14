//! A Boxoffice as its clients know it: addresses and tokens.

use crate::client::Client;

/// Where a Boxoffice and its payment provider answer, and who may do everything there.
#[derive(Debug, Clone)]
pub struct Shop {
    /// An anonymous client.
    pub client: Client,
    /// A client of the sandbox's control API.
    pub sandbox: Client,
    organizer: Client,
    admin: Client,
}

impl Shop {
    /// The shop at `base`, its sandbox, and the tokens of an organizer and of an admin.
    pub fn new(base: &str, sandbox: &str, organizer: &str, admin: &str) -> Self {
        let client = Client::new(base);
        let (organizer, admin) = (client.with(organizer), client.with(admin));
        Self { client, sandbox: Client::new(sandbox), organizer, admin }
    }

    /// The organizer of every show of these tests.
    pub fn organizer(&self) -> Client {
        self.organizer.clone()
    }

    /// Who approves them.
    pub fn admin(&self) -> Client {
        self.admin.clone()
    }
}
