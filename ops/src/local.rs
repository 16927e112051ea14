//! What a local installation keeps in its folder beside the stack: its secrets, made once at random.
//!
//! Invariant: secrets that exist are never replaced, because the log refers to them for ever.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use service_kit::auth::SigningKey;
use service_kit::env::hex32;
use service_kit::keys::Secret32;
use service_kit::random;

/// The folder of `boxctl dev` in a checkout.
pub fn folder(root: &Path) -> PathBuf {
    root.join(".local/dev")
}

/// The secrets of one local installation, as they are written in its environment. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalSecrets {
    /// `BOXOFFICE_SECRET`.
    pub secret: String,
    /// `BOXOFFICE_MASTER_KEY`.
    pub master_key: String,
    /// `BOXOFFICE_TICKET_KEY`.
    pub ticket_key: String,
    /// `BOXOFFICE_TOKEN_KEY`.
    pub token_key: String,
    /// The payment channel's name at the provider.
    pub payos_client_id: String,
    /// Its key for calls.
    pub payos_api_key: String,
    /// Its key for signatures.
    pub payos_checksum_key: String,
}

impl fmt::Debug for LocalSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalSecrets(…)")
    }
}

impl LocalSecrets {
    /// Those of a folder, made now if there are none.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds something else.
    pub fn of(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("secrets.json");
        if let Some(secrets) = Self::kept(&path)? {
            return Ok(secrets);
        }
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        Self::random().keep(&path).with_context(|| format!("write {}", path.display()))?;
        Self::kept(&path)?.with_context(|| format!("{} went away", path.display()))
    }

    /// The key that mints bearer tokens.
    ///
    /// # Errors
    /// Somebody changed it to something that is no key.
    pub fn signing_key(&self) -> anyhow::Result<SigningKey> {
        let seed = hex32(&self.token_key).context("token_key in secrets.json is not 64 hex digits")?;
        Ok(SigningKey::new(&Secret32::new(seed)))
    }

    fn random() -> Self {
        Self {
            secret: random_hex(),
            master_key: random_hex(),
            ticket_key: random_hex(),
            token_key: random_hex(),
            payos_client_id: "boxoffice-local".to_owned(),
            payos_api_key: random_hex(),
            payos_checksum_key: random_hex(),
        }
    }

    fn kept(path: &Path) -> anyhow::Result<Option<Self>> {
        match fs::read(path) {
            Ok(text) => {
                let secrets = serde_json::from_slice(&text);
                // The cause would quote the file.
                secrets.map(Some).map_err(|_| anyhow::anyhow!("{} does not hold the secrets it should", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Writes them whole, unless somebody else was first.
    fn keep(&self, path: &Path) -> std::io::Result<()> {
        let new = path.with_extension(format!("{}.new", random::opaque_id().simple()));
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        let linked = fs::hard_link(&new, path);
        fs::remove_file(&new)?;
        match linked {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }
}

fn random_hex() -> String {
    random::bytes::<32>().iter().map(|byte| format!("{byte:02x}")).collect()
}
