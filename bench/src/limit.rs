//! A reference: what the machine could answer at most.

use std::path::Path;
use std::process::Command;

use crate::process::Process;
use crate::race::Meter;
use crate::wrk::Target;
use crate::{Failure, beside};

/// A bare server that always sends the same bytes.
pub(crate) struct Limit {
    process: Process,
    base: String,
}

impl Limit {
    /// Starts one that answers with so many bytes.
    pub(crate) fn start(size: usize, log: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(beside("limit")?);
        let (process, base) = Process::serve(command.arg(size.to_string()), log)?;
        Ok(Self { process, base })
    }

    /// This server, for a load.
    pub(crate) fn target(&self) -> Target {
        Target {
            servers: vec![self.base.clone()],
            authorization: String::new(),
            meter: Meter::of(self.process.id()),
        }
    }
}
