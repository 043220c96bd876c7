//! A file that is there whole or not at all.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::Failure;

/// A file that nobody sees under its name before it is complete and on disk.
/// Dropped before that, it is gone.
pub(super) struct NewFile {
    path: PathBuf,
    folder: PathBuf,
    /// In the same folder, so that giving it its name moves no data; readable
    /// by nobody but its owner.
    file: NamedTempFile,
}

impl NewFile {
    /// An empty one, to become `path`.
    ///
    /// # Errors
    /// When there is something at `path` already, or its folder can't be
    /// written.
    pub(super) fn beside(path: &Path) -> Result<Self, Failure> {
        if path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".dealwright-")
            .suffix(".partial")
            .tempfile_in(&folder)
            .map_err(|error| format!("{} can't be written: {error}", folder.display()))?;
        Ok(Self {
            path: path.to_owned(),
            folder,
            file,
        })
    }

    /// Where it is until it is complete.
    pub(super) fn partial(&self) -> &Path {
        self.file.path()
    }

    /// Brings it to the disk and gives it its name.
    ///
    /// # Errors
    /// When there is something of that name by now, or the disk fails.
    pub(super) fn complete(self) -> Result<(), Failure> {
        self.file.as_file().sync_all()?;
        match self.file.persist_noclobber(&self.path) {
            Ok(_) => {}
            Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => {
                return Err(exists(&self.path));
            }
            Err(failed) => return Err(failed.error.into()),
        }
        // The name is on disk when the folder is.
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }
}

fn exists(path: &Path) -> Failure {
    format!(
        "{} exists already, and nothing is ever overwritten: choose another name, or move it away",
        path.display()
    )
    .into()
}
