//! A file or a folder that is there whole or not at all.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

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
        let folder = around(path)?;
        let file = partial()
            .tempfile_in(&folder)
            .map_err(|error| unwritable(&folder, &error))?;
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

/// An empty folder, to become `path`, which nobody sees under its name before
/// [`complete_folder`] gives it that. Only its owner may read it. Dropped before
/// that, it is gone.
///
/// # Errors
/// When there is something at `path` already, or the folder around it can't be
/// written.
pub(super) fn folder_beside(path: &Path) -> Result<TempDir, Failure> {
    let around = around(path)?;
    let made = partial().tempdir_in(&around);
    made.map_err(|error| unwritable(&around, &error))
}

/// Gives a folder its name, of which every file is on disk.
///
/// # Errors
/// When there is something of that name by now, or the disk fails.
pub(super) fn complete_folder(folder: TempDir, path: &Path) -> Result<(), Failure> {
    File::open(folder.path())?.sync_all()?;
    let around = around(path)?;
    std::fs::rename(folder.path(), path)?;
    // It is no longer there to be removed.
    let _ = folder.keep();
    File::open(around)?.sync_all()?;
    Ok(())
}

/// The folder in which `path` is to be made.
fn around(path: &Path) -> Result<PathBuf, Failure> {
    if path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    Ok(match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    })
}

fn partial<'a>() -> tempfile::Builder<'a, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".dealwright-").suffix(".partial");
    builder
}

fn unwritable(folder: &Path, error: &std::io::Error) -> Failure {
    format!("{} can't be written: {error}", folder.display()).into()
}

fn exists(path: &Path) -> Failure {
    format!(
        "{} exists already, and nothing is ever overwritten: choose another name, or move it away",
        path.display()
    )
    .into()
}
