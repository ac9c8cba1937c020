//! Hosts that a read may be answered by.

use super::SqlStore;
use crate::store::StoreError;
use crate::store::driver::{Connection, DriverError};
use crate::store::hosts::ReadPreference;
use crate::store::hosts::recent_changes::RecentChanges;

/// Choice of the hosts that may answer a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Reading {
    /// The preferred host, which may be a replica.
    Any,
    /// A host that takes changes, or another one if no host does.
    Primary,
    /// A host that has every change; the read fails if no host has.
    Newest,
}

impl SqlStore {
    /// Returns which hosts may answer a question, depending on whether its subject was changed recently.
    pub(super) fn reading(&self, has_changed: impl FnOnce(&RecentChanges) -> bool) -> Reading {
        if self.hosts.has_several() && has_changed(&self.recent) { Reading::Newest } else { Reading::Any }
    }

    /// Runs `work`, which only reads, on a host that may answer it.
    pub(super) fn read_by<T>(
        &self,
        reading: Reading,
        work: impl FnMut(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<T, StoreError> {
        match reading {
            Reading::Any => self.hosts.read_from(self.preference(ReadPreference::Any), work).map(|(done, _)| done),
            Reading::Primary => self.hosts.read_from(ReadPreference::Primary, work).map(|(done, _)| done),
            Reading::Newest => self.hosts.read_certain(work),
        }
    }
}
