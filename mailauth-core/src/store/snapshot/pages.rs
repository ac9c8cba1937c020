//! Lists of another program's accounts, which continue where they began.

use super::Keeper;
use super::about::About;
use crate::store::{AccountStore, Cursor, Page, StoreError, unsupported};

/// First byte of a place in a list of the copy, before the copy's own place. No place of another list begins with it.
const OF_COPY: u8 = 2;

impl Keeper {
    /// Returns a page of another program's accounts. The database lists them in the order of the key of their table and
    /// the copy in that of their logins, so a list that began with one of the two cannot be continued with the other.
    pub(super) fn enumerate_lists(
        &self,
        inner: &impl AccountStore,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        if let Some((OF_COPY, place)) = after.and_then(|after| after.as_bytes().split_first()).map(|(f, r)| (*f, r)) {
            let Some(error) = self.error.lock().clone() else {
                return Err(unsupported("it cannot continue a list of a snapshot that another process began"));
            };
            return self.page_of_copy(error, Some(&Cursor::behind(place)), limit);
        }
        match inner.enumerate(after, limit) {
            Err(error) if error.is_outage() && after.is_none() => self.page_of_copy(error, None, limit),
            Err(error) if error.is_outage() => Err(error),
            answer => {
                self.notices.report_return();
                answer
            }
        }
    }

    fn page_of_copy(&self, error: StoreError, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let Page { rows, next } =
            self.answer_from_copy(error, About::AllLogins, |_| false, |copy| copy.enumerate(after, limit))?;
        let marked = |next: Cursor| Cursor::behind([&[OF_COPY], next.as_bytes()].concat());
        Ok(Page { rows, next: next.map(marked) })
    }
}
