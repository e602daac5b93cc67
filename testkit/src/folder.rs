//! A folder that goes with its owner.

use std::path::{Path, PathBuf};

use uuid::Uuid;

/// The folder; it and what it holds are deleted when this is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one below the system's folder for temporary files.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// A new one in memory, if the system has a place for such: for files whose cost is not to be measured.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::below(memory) } else { Self::new() }
    }

    fn below(parent: &Path) -> Self {
        let folder = parent.join(format!("bellwork-{}", Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).expect("there is room for a folder");
        Self(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Puts a file of this text into it, and returns where that is.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("the folder is ours");
        path.to_str().expect("the name is text").to_owned()
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
