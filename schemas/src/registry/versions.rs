//! The versions of a subject, as the registry has them.

use serde::Deserialize;

use super::{Registry, RegistryError};

/// A version of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RegisteredVersion {
    /// Its number, from 1.
    pub version: u32,
    /// The schema's id.
    pub id: u32,
    /// The schema's text, as the registry lays it out.
    pub schema: String,
}

impl Registry {
    /// Every version of a subject, the oldest first; none if it does not know the subject.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn versions(&self, subject: &str) -> Result<Vec<RegisteredVersion>, RegistryError> {
        let mut versions = Vec::new();
        for number in self.numbers(subject).await? {
            let request = self.http.get(self.url(&["subjects", subject, "versions", &number.to_string()]));
            // One that was deleted meanwhile is none.
            versions.extend(self.send::<RegisteredVersion>(request, subject).await?);
        }
        versions.sort_by_key(|it| it.version);
        Ok(versions)
    }

    /// The address under which the schema with an id is had, up to the id, without credentials.
    pub fn address_of_ids(&self) -> String {
        format!("{}/schemas/ids/", self.shown().trim_end_matches('/'))
    }
}
