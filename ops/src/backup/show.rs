//! A backup in words.

use std::fmt::Write as _;

use backup::manifest::{Manifest, Moment};
use backup::verify::Verified;

/// A few figures, one a line.
pub fn manifest(manifest: &Manifest) -> String {
    let Manifest { moment, keys, .. } = manifest;
    let parts = manifest.log.values().flatten();
    let behind: i64 = parts.filter(|part| part.end > part.moment).map(|part| part.end - part.moment).sum();
    let (records, files, bytes) = (manifest.records(), manifest.segments.len(), manifest.bytes());
    let rows = [
        ("made by", format!("{}, format {}", manifest.made_by, manifest.format)),
        ("of", format!("namespace \"{}\", {} partitions", manifest.namespace, manifest.partitions)),
        ("begun", format!("{:.0}", manifest.began_at)),
        ("up to date", format!("{:.0}", manifest.updated_at)),
        ("restores", moment_of(*moment)),
        ("log", format!("{records} records in {files} files; {behind} of them behind that moment")),
        ("keys", format!("{} in {}, {} taken away", keys.records - keys.tombstones, keys.file, keys.tombstones)),
        ("bytes", bytes.to_string()),
    ];
    let mut text = String::new();
    rows.iter().for_each(|(name, value)| writeln!(text, "{name:<11}{value}").expect("strings take everything"));
    for (id, keys) in &manifest.master_keys {
        writeln!(text, "needs      master key {id}, which wraps {keys} keys").expect("strings take everything");
    }
    if keys.to_forget > 0 {
        writeln!(text, "careful    {} keys that were taken away are still in the file: run it again", keys.to_forget)
            .expect("strings take everything");
    }
    text
}

/// The moment that a restore brings back.
pub fn moment_of(moment: Moment) -> String {
    match moment {
        Moment { at: None, .. } => "nothing yet: the first copy was not completed".to_owned(),
        Moment { at: Some(at), quiet: true, .. } => format!("everything up to {at:.3} (nothing was under way)"),
        Moment { at: Some(at), quiet: false, .. } => format!("everything up to {at:.3}, by the brokers' clocks"),
    }
}

/// What verifying found.
pub fn verified(found: &Verified) -> String {
    let Verified { records, events, void, keys, tombstones, .. } = found;
    let mut text =
        format!("{records} records: {events} events that count, {void} void; {keys} keys, {tombstones} taken away\n");
    found.faults.iter().for_each(|fault| writeln!(text, "wrong: {fault}").expect("strings take everything"));
    let told = found.faults.len() as u64;
    if found.wrong > told {
        writeln!(text, "and {} more", found.wrong - told).expect("strings take everything");
    }
    text += if found.wrong == 0 { "This backup can be restored.\n" } else { "This backup is damaged.\n" };
    text
}
