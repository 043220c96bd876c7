//! Disks so small that they can be filled.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Set for a test that runs where it may mount what nobody else sees.
const SECLUDED: &str = "TEST_MAY_MOUNT";

/// A file system in memory that only the test which mounted it can see, with
/// the programs that it starts. It goes with them.
pub(crate) struct Disk {
    mounted: tempfile::TempDir,
}

impl Disk {
    /// A disk of that many megabytes for the test of this name, such as
    /// `overload::a_test`. The test runs once more, in a process where the disk
    /// can be mounted, and here there is none: it is over when this comes back.
    /// It is so also where nothing may be mounted, as in a container without
    /// that right.
    pub(crate) fn for_test(name: &str, megabytes: usize) -> Option<Disk> {
        if std::env::var_os(SECLUDED).is_some() {
            return Some(Disk::mount(megabytes));
        }
        if !secluded("true")
            .status()
            .is_ok_and(|status| status.success())
        {
            println!("{name}: nothing can be mounted here");
            return None;
        }
        let test = std::env::current_exe().expect("the path of the tests");
        let ran = secluded(test)
            .args(["--exact", name, "--nocapture"])
            .env(SECLUDED, "1")
            .stderr(Stdio::inherit())
            .output()
            .expect("what has just run a program");
        let printed = String::from_utf8_lossy(&ran.stdout);
        print!("{printed}");
        assert!(ran.status.success(), "{name} failed");
        assert!(printed.contains(" 1 passed"), "there is no test {name}");
        None
    }

    fn mount(megabytes: usize) -> Disk {
        let mounted = tempfile::Builder::new()
            .prefix("dealwright-disk-")
            .tempdir()
            .expect("a temporary folder");
        let size = format!("size={megabytes}m,mode=1777");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "dealwright"])
            .arg(mounted.path())
            .status();
        assert!(
            done.is_ok_and(|status| status.success()),
            "no disk was mounted"
        );
        Disk { mounted }
    }

    pub(crate) fn path(&self) -> &Path {
        self.mounted.path()
    }

    /// Leaves not one byte free.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("a file on the disk");
        let full = loop {
            if let Err(error) = ballast.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    /// Makes room again.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is left on it goes with it; the folder below is empty.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
    }
}

/// A program with mounts of its own, if it may mount anything.
fn secluded(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(r#"mount -t tmpfs dealwright /mnt 2>/dev/null && umount /mnt && exec "$0" "$@""#)
        .arg(program)
        .stdin(Stdio::null());
    command
}
