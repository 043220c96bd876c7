//! Processes: starting and ending them, and what they take.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// How long a start or an orderly end may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The unit of the times in `/proc/PID/stat`, which is this on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// A process of ours. Dropping it ends it at once.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a command whose output goes to the files `log`.out and `log`.err.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self, Failure> {
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(log.with_extension("out"))?)
            .stderr(File::create(log.with_extension("err"))?)
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// Starts a server and waits until it says where it listens, as in
    /// `listening on http://127.0.0.1:8080`. Gives that address.
    pub(crate) fn serve(command: &mut Command, log: &Path) -> Result<(Self, String), Failure> {
        let mut process = Self::start(command, log)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = process.child.try_wait()?;
            let printed = fs::read_to_string(log.with_extension("out"))?;
            if let Some(address) = address_in(&printed) {
                return Ok((process, address.to_owned()));
            }
            if ended.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(log.with_extension("err"))?;
                let program = command.get_program().display();
                return Err(format!("{program} does not listen: {said}").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end by a signal such as `TERM`, and waits until it has.
    pub(crate) fn end(&mut self, signal: &str) -> Result<(), Failure> {
        run(Command::new("kill").args(["-s", signal, &self.id().to_string()]))?;
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err(format!("process {} does not end", self.id()).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It fails only for one that has ended already, and that is the aim.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a whole line that says `listening on http://…`.
fn address_in(printed: &str) -> Option<&str> {
    let (_, after) = printed.split_once("listening on ")?;
    after.split_once('\n').map(|(address, _)| address.trim())
}

/// Runs a command to its end. Gives what it printed; failing is an error that
/// says what it had to say.
pub(crate) fn run(command: &mut Command) -> Result<String, Failure> {
    let output = finish(command)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// As [`run`], of a command that tells how it gets on: gives that.
pub(crate) fn run_told(command: &mut Command) -> Result<String, Failure> {
    let output = finish(command)?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn finish(command: &mut Command) -> Result<Output, Failure> {
    let program = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        let printed = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} ended with {}: {printed}{said}", output.status).into());
    }
    Ok(output)
}

/// The processor time that a process has used so far.
pub(crate) fn cpu(process: u32) -> Result<Duration, Failure> {
    let stat = Stat::read(process)?;
    Ok(stat.own)
}

/// The processor time that a process has used so far with all its children, those
/// that have ended included.
pub(crate) fn cpu_of_family(parent: u32) -> Result<Duration, Failure> {
    let stat = Stat::read(parent)?;
    let mut total = stat.own + stat.reaped;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that ends meanwhile is counted next time, with the reaped.
        if let Ok(child) = Stat::read(process)
            && child.parent == parent
        {
            total += child.own;
        }
    }
    Ok(total)
}

/// What `/proc/PID/stat` tells.
struct Stat {
    parent: u32,
    own: Duration,
    reaped: Duration,
}

impl Stat {
    fn read(process: u32) -> Result<Self, Failure> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name before may hold anything, blanks and brackets too.
        let (_, fields) = stat.rsplit_once(')').ok_or("an unknown /proc/PID/stat")?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        let number = |index: usize| -> Result<u32, Failure> {
            let field = fields.get(index).ok_or("a short /proc/PID/stat")?;
            Ok(field.parse()?)
        };
        Ok(Self {
            parent: number(1)?,
            own: TICK * (number(11)? + number(12)?),
            reaped: TICK * (number(13)? + number(14)?),
        })
    }
}

/// What a process holds in memory, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) resident: u64,
    /// At most since it began.
    pub(crate) peak: u64,
}

/// What a process holds in memory.
pub(crate) fn memory(process: u32) -> Result<Memory, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = |name: &str| -> Result<u64, Failure> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib: u64 = kib.ok_or("an unknown /proc/PID/status")?.parse()?;
        Ok(kib * 1024)
    };
    Ok(Memory {
        resident: value("VmRSS:")?,
        peak: value("VmHWM:")?,
    })
}
