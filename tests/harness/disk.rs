//! Disks so small that they can be filled.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A file system in memory, mounted where only a process of ours can see it and
/// those that look through its eyes. It goes with that process, which ends when
/// this one does.
pub(crate) struct Disk {
    holder: Child,
    /// Where it is mounted.
    mounted: tempfile::TempDir,
}

impl Disk {
    /// A disk of that many megabytes; none where nothing may be mounted, as in
    /// a container without that right.
    pub(crate) fn mount(megabytes: usize) -> Option<Disk> {
        let mounted = tempfile::Builder::new()
            .prefix("dealwright-disk-")
            .tempdir()
            .expect("a temporary folder");
        let mount = format!(
            r#"mount -t tmpfs -o size={megabytes}m,mode=1777 dealwright "$0" && echo mounted && cat"#
        );
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", &mount])
            .arg(mounted.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut said = String::new();
        if let Some(stdout) = holder.stdout.take() {
            BufReader::new(stdout).read_line(&mut said).ok()?;
        }
        let disk = Disk { holder, mounted };
        (said.trim() == "mounted").then_some(disk)
    }

    /// Its path, for everybody.
    pub(crate) fn path(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let inside = self.inside();
        root.join(inside.strip_prefix("/").unwrap_or(&inside))
    }

    /// Its path for a command that [`Disk::enter`] precedes.
    pub(super) fn inside(&self) -> PathBuf {
        self.mounted.path().to_owned()
    }

    /// What runs a command where the disk is mounted.
    pub(super) fn enter(&self) -> Vec<String> {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.holder.id());
        vec!["nsenter".to_owned(), namespace]
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
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
