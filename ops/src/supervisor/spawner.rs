//! Starts processes that end with us, even if we are killed.
//!
//! The kernel ends a child when the *thread* that started it ends, so one thread of its own starts them all.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Spec;

/// A log beyond this size is set aside at the next start.
const LONGEST_LOG: u64 = 16 << 20;

type Request = (Command, oneshot::Sender<io::Result<Child>>);

/// Starts processes; cheap to clone. They are asked to end when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Spawner {
    requests: mpsc::Sender<Request>,
    setpriv: bool,
}

impl Spawner {
    /// Begins. Inside a tokio runtime.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start() -> io::Result<Self> {
        let (requests, received) = mpsc::channel::<Request>();
        let runtime = Handle::current();
        std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            let _inside = runtime.enter();
            for (mut command, answer) in received {
                // Nobody waits any more: the child is dropped and thereby ended.
                drop(answer.send(command.spawn()));
            }
        })?;
        Ok(Self { requests, setpriv: has_setpriv() })
    }

    /// Whether children end when we are killed; otherwise the next start finds and ends them.
    pub fn ends_children(&self) -> bool {
        self.setpriv
    }

    /// Starts one process, its output appended to its log.
    ///
    /// # Errors
    /// The log cannot be written or the program cannot be started.
    pub async fn spawn(&self, spec: &Spec) -> io::Result<Child> {
        let command = self.command(spec)?;
        let (answer, answered) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts processes is gone");
        self.requests.send((command, answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    fn command(&self, spec: &Spec) -> io::Result<Command> {
        let mut command = match self.setpriv {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "TERM", "--"]).arg(&spec.program);
                command
            }
            false => Command::new(&spec.program),
        };
        let (out, err) = outputs(&spec.log)?;
        for name in &spec.unset {
            command.env_remove(name);
        }
        // In a group of its own it does not hear the terminal's Ctrl-C: it is stopped in its turn.
        command.args(&spec.args).envs(&spec.env).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        Ok(command)
    }
}

fn outputs(log: &Path) -> io::Result<(Stdio, Stdio)> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::metadata(log).is_ok_and(|it| it.len() > LONGEST_LOG) {
        fs::rename(log, log.with_extension("log.old"))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(log)?;
    Ok((file.try_clone()?.into(), file.into()))
}

fn has_setpriv() -> bool {
    let mut probe = std::process::Command::new("setpriv");
    let probe = probe.args(["--pdeathsig", "TERM", "--", "true"]).stdin(Stdio::null());
    probe.output().is_ok_and(|output| output.status.success())
}
