//! The machine: open files, disk room, and ports.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};
use serde_json::Value;

use super::{Finding, Patient};
use crate::topology::Process;

/// Beside connections: the log's segments, Kafka, Postgres, snapshots.
const OTHER_FILES: u64 = 1024;
const GIB: u64 = 1 << 30;

pub(super) async fn check(patient: &Patient) -> Vec<Finding> {
    let number = |name: &str| patient.env.get(name).and_then(|it| it.parse::<u64>().ok());
    let mut findings =
        vec![files(getrlimit(Resource::Nofile).current, number("BOXOFFICE_MAX_CONNECTIONS").unwrap_or(10_000))];
    findings.extend(snapshots(patient));
    findings.extend(port(patient).await);
    findings
}

fn files(limit: Option<u64>, connections: u64) -> Finding {
    let needed = connections + OTHER_FILES;
    match limit {
        Some(limit) if limit < needed => {
            let found = format!("{limit} open files are allowed; {connections} connections take up to {needed}");
            Finding::warning(
                "open files",
                found,
                format!("ulimit -n {needed} (LimitNOFILE of the service), or lower BOXOFFICE_MAX_CONNECTIONS"),
            )
        }
        Some(limit) => Finding::ok("open files", format!("{limit} are allowed")),
        None => Finding::ok("open files", "no limit"),
    }
}

/// The folder of snapshots, where this may be the environment of a command-api.
fn snapshots(patient: &Patient) -> Option<Finding> {
    if patient.site.local || patient.process.is_some_and(|it| it != Process::CommandApi) {
        return None;
    }
    let named = patient.env.get("BOXOFFICE_SNAPSHOT_DIR");
    let folder = Path::new(named.map_or("snapshots", String::as_str));
    if named.is_none() || folder.is_relative() {
        let found = format!("{} depends on where a process is started", folder.display());
        return Some(Finding::warning(
            "snapshots",
            found,
            "set BOXOFFICE_SNAPSHOT_DIR to a whole path that all instances share",
        ));
    }
    let Ok(disk) = statvfs(folder) else {
        let found = format!("{} is not there or cannot be looked at", folder.display());
        return Some(Finding::wrong("snapshots", found, "make the folder, writable for the command-apis"));
    };
    Some(room(folder, disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize))
}

fn room(folder: &Path, free: u64, all: u64) -> Finding {
    let found = format!("{}: {} of {} MiB free", folder.display(), free >> 20, all >> 20);
    let remedy = "make room: without it no snapshot is taken, and a take-over replays the log";
    match free {
        ..GIB => Finding::wrong("disk room", found, remedy),
        _ if free < all / 10 => Finding::warning("disk room", found, remedy),
        _ => Finding::ok("disk room", found),
    }
}

/// The port that the process would listen at: free, or its own already.
async fn port(patient: &Patient) -> Option<Finding> {
    let address: SocketAddr = patient.env.get("BOXOFFICE_LISTEN")?.parse().ok()?;
    if std::net::TcpListener::bind(address).is_ok() {
        return Some(Finding::ok("port", format!("{address} is free")));
    }
    let local = SocketAddr::new(
        if address.ip().is_unspecified() { [127, 0, 0, 1].into() } else { address.ip() },
        address.port(),
    );
    Some(match who(local).await {
        Some(name) => Finding::ok("port", format!("{address} is {name}'s, which runs")),
        None => Finding::wrong(
            "port",
            format!("somebody else listens at {address}"),
            "end it, or set BOXOFFICE_LISTEN to another port",
        ),
    })
}

async fn who(address: SocketAddr) -> Option<String> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().ok()?;
    let answer: Value = client.get(format!("http://{address}/livez")).send().await.ok()?.json().await.ok()?;
    (answer["status"] == "live").then(|| answer["instance"].as_str().unwrap_or("a service of ours").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Judgement;

    #[test]
    fn too_few_files_and_too_little_room_are_told() {
        assert_eq!(files(Some(1024), 10_000).judgement, Judgement::Warning);
        assert_eq!(files(Some(20_000), 10_000).judgement, Judgement::Ok);
        assert_eq!(files(None, 10_000).judgement, Judgement::Ok);
        let room = |free, all| room(Path::new("/x"), free, all).judgement;
        assert_eq!(
            [room(GIB - 1, 9 * GIB), room(2 * GIB, 30 * GIB), room(9 * GIB, 30 * GIB)],
            [Judgement::Wrong, Judgement::Warning, Judgement::Ok]
        );
    }
}
