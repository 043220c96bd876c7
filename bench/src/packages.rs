//! Programs of others that are needed here.

use std::process::Command;

use crate::Failure;
use crate::process::run;

/// Makes sure that `program` is there, by installing the Debian package that has
/// it where need be.
pub(crate) fn need(program: &str, package: &str) -> Result<(), Failure> {
    // How it ends does not matter: `wrk --version` fails.
    if Command::new(program).arg("--version").output().is_ok() {
        return Ok(());
    }
    install(package)
        .map_err(|error| format!("{program} is needed, and can't be installed: {error}").into())
}

/// Installs a Debian package.
pub(crate) fn install(package: &str) -> Result<(), Failure> {
    eprintln!("installing {package}");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        run(command.arg("-qq").args(arguments)).map(drop)
    };
    apt(&["install", "-y", package]).or_else(|_| {
        apt(&["update"])?;
        apt(&["install", "-y", package])
    })
}
