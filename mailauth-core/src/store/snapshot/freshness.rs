//! What this process knows of the copy and the file does not contain.

use super::about::About;
use super::notes::{self, Waiting};
use crate::store::Changed;
use crate::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Maximum number of remembered changes that cannot be noted in the file. With more of them the copy answers nothing.
const MOST_LOST: usize = 10_000;

/// What this process knows of the copy and the file does not contain.
#[derive(Default)]
pub(super) struct CopyFreshness {
    /// Beginning of the last reading of all tables that succeeded.
    pub began: Mutex<Option<Instant>>,
    /// Changes that could not be noted in the file.
    pub lost: Mutex<Lost>,
    /// True if no other process refreshes the file.
    pub is_ours: AtomicBool,
    /// Beginning and reason of the failure, if refreshing the file fails.
    pub failure: Mutex<Option<(Instant, String)>>,
}

#[derive(Default)]
pub(super) struct Lost {
    pub changes: Vec<Changed>,
    /// True if there were too many to remember.
    pub all: bool,
}

impl CopyFreshness {
    pub fn began(&self) -> Option<Instant> {
        *self.began.lock()
    }

    /// Notes that all tables were read, starting at `began`.
    pub fn read_whole(&self, began: Instant) {
        *self.began.lock() = Some(began);
    }

    /// Remembers a change that cannot be noted in the file.
    pub fn lose(&self, changed: &Changed) {
        let mut lost = self.lost.lock();
        if lost.changes.len() < MOST_LOST {
            lost.changes.push(changed.clone());
        } else {
            lost.all = true;
        }
    }

    /// Returns what the remembered changes say about a question.
    pub fn waiting(&self, about: About<'_>) -> Waiting {
        let lost = self.lost.lock();
        let mut waiting = Waiting { rows: lost.all, absence: lost.all };
        for changed in &lost.changes {
            let touched = notes::touches(changed, about);
            waiting.rows |= touched.rows;
            waiting.absence |= touched.absence;
        }
        waiting
    }
}
