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
    support: Client,
}

impl Shop {
    /// The shop at `base`, its sandbox, and the tokens of an organizer, of an admin and of support.
    pub fn new(base: &str, sandbox: &str, organizer: &str, admin: &str, support: &str) -> Self {
        let client = Client::new(base);
        let (organizer, admin, support) = (client.with(organizer), client.with(admin), client.with(support));
        Self { client, sandbox: Client::new(sandbox), organizer, admin, support }
    }

    /// The organizer of every show of these tests.
    pub fn organizer(&self) -> Client {
        self.organizer.clone()
    }

    /// Who approves them.
    pub fn admin(&self) -> Client {
        self.admin.clone()
    }

    /// Who helps buyers.
    pub fn support(&self) -> Client {
        self.support.clone()
    }
}
