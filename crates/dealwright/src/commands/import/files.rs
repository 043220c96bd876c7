//! Which files are meant: those given, and those in the folders given.

use std::path::{Path, PathBuf};

use super::table::extension;

/// The files of an import.
#[derive(Debug)]
pub(super) struct Files {
    files: Vec<PathBuf>,
    /// True when a folder was given, which must then hold all that the mapping
    /// names.
    pub(super) complete: bool,
}

impl Files {
    /// The files themselves, and the tables in the folders.
    ///
    /// # Errors
    /// One of them is not there.
    pub(super) fn gather(paths: &[PathBuf]) -> Result<Self, String> {
        let mut files = Vec::new();
        let mut complete = false;
        for path in paths {
            let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
            if !path.is_dir() {
                std::fs::metadata(path).map_err(wrong)?;
                files.push(path.clone());
                continue;
            }
            complete = true;
            for entry in std::fs::read_dir(path).map_err(wrong)? {
                let file = entry.map_err(wrong)?.path();
                let extension = extension(&file);
                let is_table = ["csv", "tsv", "xlsx", "xlsm"].contains(&extension.as_str());
                if is_table && file.is_file() {
                    files.push(file);
                }
            }
        }
        files.sort();
        files.dedup();
        Ok(Self { files, complete })
    }

    /// The file that a mapping calls so, with or without its extension, in any
    /// case.
    ///
    /// # Errors
    /// Several files are called so.
    pub(super) fn find(&self, name: &str) -> Result<Option<&Path>, String> {
        let wanted = name.to_lowercase();
        let is_called_so = |text: Option<&std::ffi::OsStr>| {
            text.is_some_and(|text| text.to_string_lossy().to_lowercase() == wanted)
        };
        let mut found = self
            .files
            .iter()
            .filter(|file| is_called_so(file.file_name()) || is_called_so(file.file_stem()));
        match (found.next(), found.next()) {
            (Some(one), Some(other)) => Err(format!(
                "{name} could be {} or {}: name the file in the mapping with its extension, \
                 or give only one of them",
                one.display(),
                other.display()
            )),
            (one, _) => Ok(one.map(PathBuf::as_path)),
        }
    }

    /// Those that are not among `used`.
    pub(super) fn others(&self, used: &[PathBuf]) -> Vec<PathBuf> {
        let unused = self.files.iter().filter(|file| !used.contains(file));
        unused.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in names {
            std::fs::write(folder.path().join(name), "id\n").expect("written");
        }
        folder
    }

    fn found(files: &Files, name: &str) -> Option<String> {
        let path = files.find(name).expect("one file")?;
        Some(path.file_name()?.to_string_lossy().into_owned())
    }

    #[test]
    fn a_file_is_found_with_and_without_its_extension() {
        let folder = folder(&["Accounts.CSV", "people.xlsx", "readme.md"]);
        let files = Files::gather(&[folder.path().to_owned()]).expect("a folder");
        assert_eq!(found(&files, "accounts").as_deref(), Some("Accounts.CSV"));
        assert_eq!(found(&files, "people.xlsx").as_deref(), Some("people.xlsx"));
        assert_eq!(found(&files, "readme"), None);
        assert_eq!(found(&files, "account"), None);
    }

    #[test]
    fn two_files_that_are_called_alike_are_told_apart_by_their_extension() {
        let folder = folder(&["accounts.csv", "accounts.xlsx"]);
        let files = Files::gather(&[folder.path().to_owned()]).expect("a folder");
        let error = files.find("accounts").expect_err("two files");
        assert!(error.contains("with its extension"), "{error}");
        assert_eq!(
            found(&files, "accounts.csv").as_deref(),
            Some("accounts.csv")
        );
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let error = Files::gather(&[PathBuf::from("nowhere")]).expect_err("no such path");
        assert!(error.contains("nowhere"), "{error}");
    }
}
