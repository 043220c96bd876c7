//! What it is measured with.

use std::fs;
use std::process::Command;

use crate::process::run;
use crate::report::{Report, bytes};
use crate::{Bench, Failure, ROOT};

/// Takes down the machine, and the versions of what is measured.
pub(crate) fn describe(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let cores = std::thread::available_parallelism()?;
    let model = value("/proc/cpuinfo", "model name").unwrap_or_default();
    let memory = value("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kib = memory.split_whitespace().next().unwrap_or_default();
    let memory = bytes(kib.parse::<u64>()? * 1024);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    report.machine(format!(
        "{cores} cores ({model}), {memory} of memory, Linux {}",
        kernel.trim()
    ));
    let version = run(Command::new(&bench.binary).arg("--version"))?;
    let compiler = run(Command::new("rustc").arg("--version"))?;
    let commit = run(Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(ROOT))
    .unwrap_or_default();
    let today = run(Command::new("date").args(["--utc", "+%F"]))?;
    report.machine(format!(
        "{} ({}), {}, {}",
        version.trim(),
        commit.trim(),
        compiler.trim(),
        today.trim()
    ));
    Ok(())
}

/// The value of a line such as `name : value`.
fn value(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let (_, value) = line.split_once(':')?;
    Some(value.trim().to_owned())
}
