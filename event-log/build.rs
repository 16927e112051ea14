//! Gives the build the fingerprint of everything that decides what a snapshot looks like and what the log folds to.
//!
//! A snapshot of another fingerprint is not used: reading the whole log again is slow, but never wrong.

use std::path::{Path, PathBuf};

/// Files and folders, from this package's own.
const DECIDING: [&str; 9] = [
    "../domain/src",
    "../schemas/src",
    "../schemas/avro",
    "src/frame.rs",
    "src/owner/claim.rs",
    "src/snapshot",
    "src/state",
    "src/state.rs",
    "src/validity.rs",
];

fn main() {
    let mut files = Vec::new();
    for path in DECIDING {
        println!("cargo::rerun-if-changed={path}");
        collect(Path::new(path), &mut files);
    }
    files.sort();
    let mut hash = Fnv::default();
    for file in files {
        let name = file.to_string_lossy().replace('\\', "/");
        let content = std::fs::read(&file).unwrap_or_else(|error| panic!("cannot read {name}: {error}"));
        for part in [name.as_bytes(), &content] {
            hash.add(&(part.len() as u64).to_be_bytes());
            hash.add(part);
        }
    }
    println!("cargo::rustc-env=SNAPSHOT_SHAPE={:032x}", hash.0);
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_file() {
        files.push(path.to_owned());
        return;
    }
    let listed = std::fs::read_dir(path).unwrap_or_else(|error| panic!("cannot list {}: {error}", path.display()));
    for entry in listed {
        let entry = entry.unwrap_or_else(|error| panic!("cannot list {}: {error}", path.display()));
        collect(&entry.path(), files);
    }
}

/// FNV-1a with 128 bits: enough to tell versions apart, and needs no crate.
struct Fnv(u128);

impl Default for Fnv {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}
