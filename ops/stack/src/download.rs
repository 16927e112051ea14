//! The servers' programs: fetched with Maven by the versions in `ops/pom.xml`, kept in the cache.
//!
//! Invariant: a folder that bears its final name is complete, so that a download that was killed is simply repeated.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use uuid::Uuid;

use crate::servers::Progress;
use crate::world::random_id;
use crate::{java, shared_folder};

const PARTIAL: &str = ".partial-";
const POM: &str = include_str!("../../pom.xml");

/// Where the programs are.
pub struct Tools {
    /// The `java` program.
    pub java: PathBuf,
    /// Kafka's jars.
    pub kafka: PathBuf,
    /// The registry, unpacked.
    pub registry: PathBuf,
    /// Postgres, unpacked: `bin`, `lib` and `share`.
    pub postgres: PathBuf,
}

impl Tools {
    /// Makes sure that every program is there, fetching what is missing.
    pub fn get(cache: &Path, say: Progress) -> Result<Self> {
        fs::create_dir_all(cache).with_context(|| format!("create the cache {}", cache.display()))?;
        let cache = cache.canonicalize().context("resolve the cache's path")?;
        let lock = File::create(cache.join("lock")).context("open the cache's lock file")?;
        lock.lock().context("lock the cache")?;
        Ok(Self {
            java: java::find(&cache, say)?,
            kafka: once(&cache, "kafka", |folder| kafka(folder, say))?,
            registry: once(&cache, "registry", |folder| registry(folder, say))?,
            postgres: once(&cache, "postgres", |folder| postgres(folder, say))?,
        })
    }
}

/// A value of the pom's `properties`, where every version stands once.
pub fn property(name: &str) -> &'static str {
    let value = POM.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once('<'));
    value.expect("ops/pom.xml has every property that is asked for").0
}

/// Gives the folder of a program, filled by `fill` if it is not in the cache yet.
pub fn once(cache: &Path, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let versions = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{POM}{}", std::env::consts::ARCH).as_bytes());
    let folder = cache.join(format!("{name}-{}", &versions.simple().to_string()[..16]));
    if folder.join("complete").exists() {
        return Ok(folder);
    }
    remove_left_overs(cache, name, &folder)?;
    // Another name each time, because the Maven of a killed attempt may go on and write into its own folder.
    let new = cache.join(format!("{name}{PARTIAL}{}", random_id().simple()));
    fs::create_dir(&new)
        .and_then(|()| shared_folder::open_to_all(&new))
        .with_context(|| format!("create {}", new.display()))?;
    fill(&new)?;
    fs::write(new.join("complete"), "")
        .and_then(|()| fs::rename(&new, &folder))
        .with_context(|| format!("complete {}", folder.display()))?;
    Ok(folder)
}

fn remove_left_overs(cache: &Path, name: &str, folder: &Path) -> Result<()> {
    let entries = fs::read_dir(cache).with_context(|| format!("list {}", cache.display()))?;
    let partial = format!("{name}{PARTIAL}");
    let is_left_over = |path: &PathBuf| {
        path == folder || path.file_name().is_some_and(|it| it.to_string_lossy().starts_with(&partial))
    };
    for path in entries.flatten().map(|entry| entry.path()).filter(is_left_over) {
        fs::remove_dir_all(&path).with_context(|| format!("remove the half-made {}", path.display()))?;
    }
    Ok(())
}

/// Runs a program to its end, and quotes what it printed if it failed.
pub fn run(mut command: Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("run {program}"))?;
    ensure!(
        output.status.success(),
        "{program} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn kafka(folder: &Path, say: Progress) -> Result<()> {
    say(&format!("kafka {}: fetching its jars with Maven (54 MB)", property("kafka.version")));
    maven(folder, &["dependency:copy-dependencies"], say)
}

fn registry(folder: &Path, say: Progress) -> Result<()> {
    let version = property("registry.version");
    say(&format!("registry {version}: fetching its archive with Maven (160 MB)"));
    let archive = copy(folder, &format!("io.apicurio:apicurio-registry-app:{version}:tar.gz:all"), ".tar.gz", say)?;
    unpack(&archive, folder)?;
    remove(&archive)
}

fn postgres(folder: &Path, say: Progress) -> Result<()> {
    let version = property("postgres.version");
    let platform = match std::env::consts::ARCH {
        "x86_64" => "linux-amd64",
        "aarch64" => "linux-arm64v8",
        other => bail!("there are no Postgres programs to fetch for {other}"),
    };
    say(&format!("postgres {version}: fetching its archive with Maven (15 MB)"));
    let artifact = format!("io.zonky.test.postgres:embedded-postgres-binaries-{platform}:{version}");
    let jar = copy(folder, &artifact, ".jar", say)?;
    let mut unzip = Command::new("unzip");
    unzip.args(["-q", "-o"]).arg(&jar).arg("*.txz").arg("-d").arg(folder);
    run(unzip).context("unpack the Postgres archive (is unzip installed?)")?;
    let archive = only_file(folder, ".txz")?;
    unpack(&archive, folder)?;
    remove(&archive)?;
    remove(&jar)
}

fn copy(folder: &Path, artifact: &str, ending: &str, say: Progress) -> Result<PathBuf> {
    maven(folder, &["dependency:copy", &format!("-Dartifact={artifact}")], say)?;
    only_file(folder, ending)
}

fn maven(folder: &Path, goal: &[&str], say: Progress) -> Result<()> {
    need_maven(say)?;
    let pom = folder.join("pom.xml");
    fs::write(&pom, POM).with_context(|| format!("write {}", pom.display()))?;
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode", "-Dstyle.color=never", "-f"]).arg(&pom).args(goal);
    maven.arg(format!("-DoutputDirectory={}", folder.display()));
    run(maven)
}

fn need_maven(say: Progress) -> Result<()> {
    let is_there = || Command::new("mvn").arg("-v").output().is_ok_and(|it| it.status.success());
    if is_there() {
        return Ok(());
    }
    let advice = "Maven fetches the servers and is not installed; install it (Debian: apt-get install maven)";
    ensure!(shared_folder::we_are_root() && Path::new("/usr/bin/apt-get").exists(), advice);
    say("maven: not installed; installing the distribution's package with apt-get, as root");
    for arguments in [&["update", "-q"][..], &["install", "-q", "-y", "--no-install-recommends", "maven"]] {
        let mut apt = Command::new("apt-get");
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        run(apt).context(advice)?;
    }
    ensure!(is_there(), advice);
    Ok(())
}

fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(archive).arg("-C").arg(folder).arg("--no-same-owner");
    run(tar).with_context(|| format!("unpack {} (are tar, gzip and xz installed?)", archive.display()))
}

fn only_file(folder: &Path, ending: &str) -> Result<PathBuf> {
    let files = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let mut files = files.flatten().map(|entry| entry.path());
    files
        .find(|file| file.to_string_lossy().ends_with(ending))
        .with_context(|| format!("nothing in {} ends with {ending}", folder.display()))
}

fn remove(file: &Path) -> Result<()> {
    fs::remove_file(file).with_context(|| format!("remove {}", file.display()))
}
