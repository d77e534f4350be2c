//! The operator's folder of templates: `DIR/PROJECT/TEMPLATE.{txt,html,toml}`.
//!
//! Everything is bounded, and nothing outside of DIR is read: a symbolic link may point elsewhere
//! within DIR (as mounted config maps do); one that leaves DIR is an error. Hidden files are
//! skipped, unknown files are refused.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::fault::TemplateFault;
use super::template::Parts;

/// Bytes of one file: ten times the built-in layout.
const FILE_BYTES: u64 = 64 * 1024;
/// Files in total.
const FILES: usize = 1_024;
/// Bytes of a template's name.
const NAME_BYTES: usize = 64;

/// Templates by their names.
pub(super) type Named = BTreeMap<String, Parts>;

/// The folder's content, by project.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) projects: BTreeMap<String, Named>,
    files: usize,
}

impl Folder {
    pub(super) fn read(dir: &Path) -> Result<Self, TemplateFault> {
        let root = dir.canonicalize().map_err(|fault| unreadable("", &fault))?;
        let mut folder = Self::default();
        for (project, path) in entries(&root, &root)? {
            if !path.is_dir() {
                return Err(TemplateFault::new(project, "is no folder of a project"));
            }
            for (file, path) in entries(&root, &path).map_err(|fault| fault.within(&project))? {
                folder.add(&project, &file, &path).map_err(|fault| fault.within(&project))?;
            }
        }
        Ok(folder)
    }

    fn add(&mut self, project: &str, file: &str, path: &Path) -> Result<(), TemplateFault> {
        self.files += 1;
        if self.files > FILES {
            return Err(TemplateFault::new("", format!("over {FILES} files")));
        }
        let (name, kind) = file.rsplit_once('.').unwrap_or((file, ""));
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if !(1..=NAME_BYTES).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(TemplateFault::new(
                file,
                "the file's name may hold only lower-case letters, digits, - and _",
            ));
        }
        let text = text(path).map_err(|fault| fault.within(file))?;
        let parts = self.projects.entry(project.to_owned()).or_default().entry(name.to_owned()).or_default();
        match kind {
            "txt" => parts.text = Some(text),
            "html" => parts.html = Some(text),
            "toml" => {
                let table = text.parse::<toml::Table>();
                parts.strings = Some(table.map_err(|fault| TemplateFault::new(file, fault.message()))?);
            }
            _ => return Err(TemplateFault::new(file, "is neither .txt nor .html nor .toml")),
        }
        Ok(())
    }
}

/// Entries of `folder`, by name, with their canonical paths inside `root`.
fn entries(root: &Path, folder: &Path) -> Result<Vec<(String, PathBuf)>, TemplateFault> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|fault| unreadable("", &fault))? {
        let entry = entry.map_err(|fault| unreadable("", &fault))?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|_| TemplateFault::new("", "a file name is not UTF-8"))?;
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path().canonicalize().map_err(|fault| unreadable(&name, &fault))?;
        if !path.starts_with(root) {
            return Err(TemplateFault::new(name, "leads out of the folder"));
        }
        found.push((name, path));
        if found.len() > FILES {
            return Err(TemplateFault::new("", format!("over {FILES} files")));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn text(path: &Path) -> Result<String, TemplateFault> {
    let io_fault = |fault: io::Error| unreadable("", &fault);
    // Checked before opening: opening a pipe would block.
    if !fs::metadata(path).map_err(io_fault)?.is_file() {
        return Err(TemplateFault::new("", "is not a file"));
    }
    let mut text = String::new();
    File::open(path).map_err(io_fault)?.take(FILE_BYTES + 1).read_to_string(&mut text).map_err(io_fault)?;
    match text.len() as u64 <= FILE_BYTES {
        true => Ok(text),
        false => Err(TemplateFault::new("", format!("is over {FILE_BYTES} bytes"))),
    }
}

fn unreadable(place: &str, fault: &io::Error) -> TemplateFault {
    TemplateFault::new(place, format!("can't be read: {}", fault.kind()))
}
