//! A folder of a mailbox, and what a count found in it.

use super::directory::Stamp;
use crate::model::usage::Usage;
use std::ffi::{CStr, CString};

/// Maximum number of folders of a mailbox. It bounds memory, because the owner chooses the names.
pub(super) const MOST_FOLDERS: usize = 65_536;

/// Maximum total length of their names, in bytes.
pub(super) const MOST_IN_NAMES: usize = 4 << 20;

/// The directories of messages in a mailbox and in each of its folders.
pub(super) const PARTS: [&CStr; 2] = [c"new", c"cur"];

/// What is known of one directory of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// The state of the directory when it was read; `None` if there is no directory.
    pub stamp: Option<Stamp>,
    /// What it held.
    pub usage: Usage,
    /// True if it had been at rest, so that every later change changes the stamp.
    pub at_rest: bool,
}

/// What is known of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folder {
    /// Its name, with the dot; `.` is the mailbox itself.
    pub name: CString,
    /// `new` and `cur`, as in [`PARTS`].
    pub parts: [Part; 2],
}

impl Folder {
    /// Returns a folder of which only the name is known.
    pub fn new(name: CString) -> Self {
        Folder { name, parts: Default::default() }
    }
}

/// Returns the path of a directory of messages, relative to the mailbox.
pub(super) fn path_of(folder: &CStr, part: &CStr) -> CString {
    let path = [folder.to_bytes(), part.to_bytes_with_nul()].join(&b'/');
    CString::from_vec_with_nul(path).unwrap_or_default() // neither has a NUL of its own
}
