//! Folders that another account can reach: root runs Postgres as `nobody`, who may not enter every folder.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::world::random_id;

/// The account that Postgres runs as.
pub enum Owner {
    /// Whoever runs us.
    Ourselves,
    /// `nobody`, because we are root.
    Nobody { user: u32, group: u32 },
}

impl Owner {
    pub fn current() -> Result<Self> {
        if !we_are_root() {
            return Ok(Self::Ourselves);
        }
        let accounts = fs::read_to_string("/etc/passwd").context("look up the account nobody")?;
        let entry = accounts.lines().find_map(|line| line.strip_prefix("nobody:"));
        let mut ids = entry.unwrap_or("x:65534:65534").split(':').skip(1).map(str::parse);
        match (ids.next(), ids.next()) {
            (Some(Ok(user)), Some(Ok(group))) => Ok(Self::Nobody { user, group }),
            _ => anyhow::bail!("the account nobody has no numbers in /etc/passwd"),
        }
    }

    /// Creates a folder that this account can write to.
    pub fn make_home(&self, home: &Path) -> Result<()> {
        fs::create_dir_all(home).with_context(|| format!("create {}", home.display()))?;
        let Self::Nobody { user, group } = self else {
            return Ok(());
        };
        // In a public place somebody else may have been there first.
        let found = fs::symlink_metadata(home).with_context(|| format!("look at {}", home.display()))?;
        let is_ours = found.is_dir() && [our_user(), *user].contains(&found.uid());
        ensure!(is_ours, "{} belongs to somebody else; remove it", home.display());
        chown(home, Some(*user), Some(*group)).with_context(|| format!("give {} to nobody", home.display()))
    }
}

/// The folder itself where `nobody` can reach it or need not; else one that stands for it in a public place. The
/// answer depends on the path alone, so that nothing must be remembered.
pub fn reachable(folder: &Path) -> PathBuf {
    if !we_are_root() || folder.ancestors().skip(1).all(everybody_may_enter) {
        return folder.to_owned();
    }
    let name = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, folder.as_os_str().as_encoded_bytes());
    public_folder().join(format!("boxoffice-{}", name.simple()))
}

/// Copies the programs to their public place if they are not there yet.
pub fn copy_programs(from: &Path, to: &Path) -> Result<()> {
    if from == to || is_ours(to) {
        return Ok(());
    }
    ensure!(!to.exists(), "{} belongs to somebody else; remove it", to.display());
    let new = to.with_extension(random_id().simple().to_string());
    let output = Command::new("cp").arg("-a").arg(from).arg(&new).output().context("run cp")?;
    ensure!(output.status.success(), "copy Postgres: {}", String::from_utf8_lossy(&output.stderr));
    open_to_all(&new).and_then(|()| fs::rename(&new, to)).with_context(|| format!("put Postgres into {}", to.display()))
}

/// Lets everybody enter a folder.
pub fn open_to_all(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

fn everybody_may_enter(folder: &Path) -> bool {
    // What does not exist yet will be created by us with the usual permissions.
    fs::metadata(folder).map_or(true, |it| it.mode() & 0o001 != 0)
}

/// One that survives a reboot if there is any.
fn public_folder() -> PathBuf {
    let lasting = PathBuf::from("/var/tmp");
    if lasting.is_dir() { lasting } else { std::env::temp_dir() }
}

fn is_ours(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|it| it.is_dir() && it.uid() == our_user())
}

/// Whether this process may do everything.
pub fn we_are_root() -> bool {
    our_user() == 0
}

fn our_user() -> u32 {
    fs::metadata("/proc/self").map_or(0, |it| it.uid())
}
