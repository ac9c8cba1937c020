//! Pages of rows that are ordered by a name.

use super::SqlStore;
use super::columns::Column;
use crate::store::driver::{Param, Row, Statement};
use crate::store::{Cursor, Page, StoreError};

impl SqlStore {
    /// Returns at most `limit` rows of `statement`, at least one, from `after` on. `name` is the column that orders
    /// them; the next page begins after the last row's, whatever can be read of that row.
    pub(super) fn page_by_name<T>(
        &self,
        statement: &Statement,
        name: impl Column,
        read: fn(&dyn Row) -> Result<T, StoreError>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<T, StoreError>, StoreError> {
        let limit = limit.max(1);
        let after = after.map(Cursor::as_bytes).unwrap_or_default();
        let asking = [Param::Text(after), Param::Int(i64::try_from(limit).unwrap_or(i64::MAX))];
        self.hosts.read(|connection| {
            self.ensure_schema(connection)?;
            let (mut rows, mut last) = (Vec::new(), Vec::new());
            connection.query(statement, &asking, &mut |row| {
                rows.push(read(row));
                last = name.bytes(row);
            })?;
            Ok(Page { next: (rows.len() >= limit).then(|| Cursor::behind(last)), rows })
        })
    }
}
