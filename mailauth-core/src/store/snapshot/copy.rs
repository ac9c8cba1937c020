//! Reading and writing the file: an SQLite database of our own, with the values of the original's rows unchanged.
//!
//! Its columns have no types, and no rules except that keys are unique, so that what could not be used in the original
//! cannot be used here either. It is changed in place, a page of rows in one transaction each: a concurrent reader sees
//! a row either before or after the change, and after a crash every row is at least as new as the time in the file
//! says. Without that time no complete copy exists yet. Rows of another database are collected in separate tables,
//! which then replace the first ones in one transaction.
//!
//! Each row has a checksum, and accounts and aliases are found in two ways, by their keys and by their domains. If the
//! two do not agree, or if the checksum of a row, or of the row next to a missing one, does not match, the file is
//! damaged, and does not answer that question.

use super::about::{About, domain_of};
use super::file::{self, CopyError, Result, beside, index_of_domain, ours};
use super::layout::{ACCOUNTS, ALIAS_DOMAINS, ALIASES, ALL, DOMAINS, Layout, Range, Side, Text, checksum, key, read};
use super::notes::{self, Pending, Waiting};
use super::origin::Origin;
use super::original::{CopiedRow, DOMAIN, Value};
use crate::account::Login;
use crate::store::Changed;
use crate::sync::{Mutex, MutexGuard};
use rusqlite::{Connection, TransactionBehavior, params, params_from_iter};
use std::path::{Path, PathBuf};

/// Number of surplus rows above which a page is written as a whole.
const SPARE: usize = 1000;

/// What the file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CopyStatus {
    /// Seconds since 1970: everything in the file is at least as new.
    pub taken: u64,
    /// Time of the last refresh that succeeded, in seconds since 1970.
    pub refreshed: u64,
    /// Number of accounts in it.
    pub accounts: u64,
    /// The database that it is a copy of.
    pub origin: String,
    /// Beginning and reason of the failure, if refreshing the file fails.
    pub failure: Option<(u64, String)>,
}

/// The file, with one connection that is opened when it is needed.
pub(super) struct Copy {
    path: PathBuf,
    /// The database that it should be a copy of.
    origin: Origin,
    open: Mutex<Option<Open>>,
    /// Reason why only a new file helps.
    damage: Mutex<Option<String>>,
}

struct Open {
    connection: Connection,
    /// Device and inode, which tell the file from another that takes its name.
    file: (u64, u64),
}

impl Copy {
    pub(super) fn new(path: &Path, origin: Origin) -> Self {
        Copy { path: path.to_owned(), origin, open: Mutex::default(), damage: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes sure that there is a file that this program understands. To be called only by its refresher.
    pub(super) fn prepare(&self) -> Result<()> {
        match self.with(|_| Ok(())) {
            Err(CopyError::Version) => self.recreate(),
            Err(error) if error.is_absence() => self.recreate(),
            done => done,
        }
    }

    /// Replaces the file by a new one without rows. Nothing is read meanwhile: an unfinished file looks damaged.
    pub(super) fn recreate(&self) -> Result<()> {
        let mut slot = self.lock();
        *slot = None;
        file::remove(&self.path)?;
        file::create(&self.path, &self.origin)?;
        *self.damage.lock() = None;
        Ok(())
    }

    /// Returns what was found to be damaged, if only a new file helps.
    pub(super) fn damage(&self) -> Option<String> {
        self.damage.lock().clone()
    }

    /// Notes that a reader of the file found it damaged.
    pub(super) fn suspect(&self, reason: &str) {
        *self.damage.lock() = Some(reason.to_owned());
    }

    /// Releases the notes of changes that were being made when their program ended.
    pub(super) fn release_all(&self) -> Result<()> {
        self.with(|connection| Ok(connection.execute("UPDATE pending SET held = 0", []).map(drop)?))
    }

    /// Returns what the file says about itself; `None` while no complete copy exists.
    pub(super) fn status(&self) -> Result<Option<CopyStatus>> {
        self.with(|connection| status(connection))
    }

    /// Returns true if it is a copy of the database that it should be a copy of.
    pub(super) fn is_of(&self, status: &CopyStatus) -> bool {
        self.origin.is_same(&status.origin)
    }

    /// Returns true if its rows were read as the configured tables are, maybe in another database.
    pub(super) fn is_readable(&self, status: &CopyStatus) -> bool {
        self.origin.has_same_schema(&status.origin)
    }

    /// Returns what notes say about a question.
    pub(super) fn waiting(&self, about: About<'_>) -> Result<Waiting> {
        self.with(|connection| notes::waiting(connection, about))
    }

    /// Notes what was changed. With `held`, it is not copied again before [`Copy::release`] is called.
    pub(super) fn note(&self, changed: &Changed, held: bool) -> Result<i64> {
        self.change_durably(|connection| notes::add(connection, changed, held))
    }

    /// Releases a held note, because its change is over.
    pub(super) fn release(&self, note: i64, login: &Login) -> Result<()> {
        self.change(|connection| notes::release(connection, note, &Changed::Account(login.clone())))
    }

    /// Returns what has to be copied again now.
    pub(super) fn pending(&self) -> Result<Pending> {
        self.with(|connection| notes::read(connection))
    }

    /// Removes the notes of what was copied again.
    pub(super) fn cross_off(&self, notes: &[i64]) -> Result<()> {
        self.change(|connection| notes::cross_off(connection, notes))
    }

    /// Returns the tables that are to be filled: those that answer, unless they are complete and of another database.
    /// In that case new ones are created next to them.
    pub(super) fn begin(&self) -> Result<Side> {
        self.change(|connection| {
            let (origin, taken): (String, Option<i64>) =
                connection.query_row("SELECT origin, taken FROM copy", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            drop_tables(connection, Side::Next)?;
            if self.origin.is_same(&origin) {
                return Ok(Side::Used);
            }
            if taken.is_none() {
                ALL.iter().try_for_each(|layout| connection.execute_batch(&format!("DELETE FROM {}", layout.name)))?;
                connection.execute("UPDATE copy SET origin = ?, accounts = 0", [self.origin.text()])?;
                return Ok(Side::Used);
            }
            file::create_tables(connection, Side::Next)?;
            Ok(Side::Next)
        })
    }

    /// Replaces the rows in `range` by `rows`, which are in the order of their keys. Only what differs is written.
    pub(super) fn replace(&self, side: Side, layout: &Layout, range: Range<'_>, rows: &[CopiedRow]) -> Result<()> {
        self.change(|connection| {
            let more = replace(connection, side, layout, range, rows)?;
            if layout.name == ACCOUNTS.name && side == Side::Used && more != 0 {
                connection.execute("UPDATE copy SET accounts = accounts + ?", [more])?;
            }
            Ok(())
        })
    }

    /// Replaces the rows with the same keys by these rows.
    pub(super) fn put(&self, side: Side, layout: &Layout, rows: &[CopiedRow]) -> Result<()> {
        self.change(|connection| {
            let writing = Writing::new(connection, side, layout);
            let mut added = 0;
            for row in rows {
                let stored = writing.find(row)?;
                let sum = checksum(row);
                match stored {
                    Some((stored, Value::Int(found))) if stored == *row && found == sum => continue,
                    Some(_) => writing.delete(row)?,
                    None => added += 1,
                }
                writing.insert(row)?;
            }
            if layout.name == ACCOUNTS.name && side == Side::Used && added > 0 {
                connection.execute("UPDATE copy SET accounts = accounts + ?", [added])?;
            }
            Ok(())
        })
    }

    /// Removes those of at most `limit` rows after the key `after` that `is_kept` rejects. Returns the key of the last
    /// of the rows, or `None` if there are no more.
    pub(super) fn sweep(
        &self,
        side: Side,
        layout: &Layout,
        after: &[Vec<u8>],
        limit: usize,
        is_kept: impl Fn(&[&[u8]]) -> bool,
    ) -> Result<Option<Vec<Vec<u8>>>> {
        let after: Vec<&[u8]> = after.iter().map(Vec::as_slice).collect();
        let keys = self.with(|connection| stored_keys(connection, side, layout, &after, limit))?;
        let gone = |key: &&Vec<Vec<u8>>| !is_kept(&key.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let gone: Vec<_> = keys.iter().filter(gone).collect();
        if !gone.is_empty() {
            self.change(|connection| {
                let writing = Writing::new(connection, side, layout);
                gone.iter().try_for_each(|key| writing.delete_key(key.iter().map(|part| Text(part))))?;
                if layout.name == ACCOUNTS.name && side == Side::Used {
                    connection.execute("UPDATE copy SET accounts = accounts - ?", [signed(gone.len())])?;
                }
                Ok(())
            })?;
        }
        Ok(keys.into_iter().nth(limit.saturating_sub(1)))
    }

    /// Notes that all rows of these tables are at least as new as `taken`, and removes the notes made before.
    pub(super) fn note_whole(&self, side: Side, taken: u64, refreshed: u64, notes: &[i64]) -> Result<()> {
        let [taken, refreshed] = [taken, refreshed].map(|time| i64::try_from(time).unwrap_or(i64::MAX));
        self.change(|connection| {
            let generation = generation(connection)? + i64::from(side == Side::Next);
            file::create_indexes(connection, side, generation)?;
            if side == Side::Next {
                drop_tables(connection, Side::Used)?;
                for Layout { name, .. } in ALL {
                    let next = Side::Next.suffix();
                    connection.execute_batch(&format!("ALTER TABLE {name}{next} RENAME TO {name}"))?;
                }
                connection.execute("UPDATE copy SET generation = generation + 1", [])?;
            }
            let count: i64 = connection.query_row("SELECT COUNT(*) FROM accounts", [], |row| row.get(0))?;
            let sql = "UPDATE copy SET taken = ?1, refreshed = ?2, accounts = ?3, origin = ?4, failed = NULL,
                       failure = NULL";
            connection.execute(sql, params![taken, refreshed, count, self.origin.text()])?;
            notes::cross_off(connection, notes)
        })
    }

    /// Notes that rows with a time of change are as new as `time`, and removes the notes made before.
    pub(super) fn note_refreshed(&self, time: u64, notes: &[i64]) -> Result<()> {
        let time = i64::try_from(time).unwrap_or(i64::MAX);
        self.change(|connection| {
            connection.execute("UPDATE copy SET refreshed = ?, failed = NULL, failure = NULL", [time])?;
            notes::cross_off(connection, notes)
        })
    }

    /// Notes when and why refreshing the file failed.
    pub(super) fn note_failure(&self, time: u64, why: &str) -> Result<()> {
        let time = i64::try_from(time).unwrap_or(i64::MAX);
        self.change(|connection| {
            let sql = "UPDATE copy SET failed = COALESCE(failed, ?1), failure = ?2";
            Ok(connection.execute(sql, params![time, why]).map(drop)?)
        })
    }

    /// Makes sure that the rows for a question, or their absence, are not due to damage.
    pub(super) fn verify(&self, about: About<'_>) -> Result<()> {
        self.with(|connection| {
            let generation = generation(connection)?;
            match about {
                About::Login(login) => {
                    let name = login.as_str().as_bytes();
                    let rows = read_verified(connection, &ACCOUNTS, name)?;
                    let domain = rows.first().and_then(|row| row.get(DOMAIN)).map(Value::bytes);
                    let domain = domain.unwrap_or(login.domain().as_bytes());
                    verify_index(connection, &ACCOUNTS, generation, domain, name, rows.len())?;
                    if rows.is_empty() {
                        verify_neighbours(connection, &ACCOUNTS, name)?;
                    }
                    verify_domain(connection, &DOMAINS, domain)
                }
                About::Alias(address) => {
                    let rows = read_verified(connection, &ALIASES, address.as_bytes())?;
                    let domain = domain_of(address).as_bytes();
                    verify_index(connection, &ALIASES, generation, domain, address.as_bytes(), rows.len())?;
                    verify_neighbours(connection, &ALIASES, address.as_bytes())
                }
                About::Domain(name) => {
                    verify_domain(connection, &DOMAINS, name.as_bytes())?;
                    verify_domain(connection, &ALIAS_DOMAINS, name.as_bytes())
                }
                About::AllLogins => Ok(()),
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock()
    }

    /// Runs `work` on the current file.
    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let mut slot = self.lock();
        let done = (|| {
            let file = ours(&self.path)?;
            let open = match slot.take().filter(|open| open.file == file) {
                Some(open) => slot.insert(open),
                None => slot.insert(Open { connection: file::open(&self.path)?, file }),
            };
            work(&mut open.connection)
        })();
        if let Err(error) = &done
            && error.is_spoilt()
        {
            self.suspect(&error.to_string());
        }
        done
    }

    /// Runs `work` in a transaction.
    fn change<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.with(|connection| in_transaction(connection, work))
    }

    /// Runs `work` in a transaction that a power failure does not undo.
    fn change_durably<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.with(|connection| {
            connection.execute_batch("PRAGMA synchronous = FULL")?;
            let done = in_transaction(connection, work);
            connection.execute_batch("PRAGMA synchronous = NORMAL")?;
            done
        })
    }
}

fn in_transaction<T>(connection: &mut Connection, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// Reads the file of another process without changing it; `None` while no complete copy exists.
pub(super) fn look(path: &Path, examined: std::time::Duration) -> Result<Option<CopyStatus>> {
    let mut connection = file::open_to_look(path)?;
    let status = status(&connection)?;
    file::examine(&mut connection, examined)?;
    Ok(status)
}

fn generation(connection: &Connection) -> Result<i64> {
    Ok(connection.prepare_cached("SELECT generation FROM copy")?.query_row([], |row| row.get(0))?)
}

fn status(connection: &Connection) -> Result<Option<CopyStatus>> {
    let sql = "SELECT taken, refreshed, accounts, origin, failed, failure FROM copy";
    let read = |row: &rusqlite::Row<'_>| {
        let (taken, refreshed): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        let (accounts, origin): (i64, String) = (row.get(2)?, row.get(3)?);
        let (failed, failure): (Option<i64>, Option<String>) = (row.get(4)?, row.get(5)?);
        Ok(taken.map(|taken| CopyStatus {
            taken: taken.unsigned_abs(),
            refreshed: refreshed.unwrap_or(taken).unsigned_abs(),
            accounts: accounts.unsigned_abs(),
            origin,
            failure: failed.zip(failure).map(|(since, why)| (since.unsigned_abs(), why)),
        }))
    };
    Ok(connection.prepare_cached(sql)?.query_row([], read)?)
}

fn drop_tables(connection: &Connection, side: Side) -> Result<()> {
    for Layout { name, .. } in ALL {
        connection.execute_batch(&format!("DROP TABLE IF EXISTS {name}{}", side.suffix()))?;
    }
    Ok(())
}

/// Returns the rows whose key begins with `name`, after verifying the checksum of each.
fn read_verified(connection: &Connection, layout: &Layout, name: &[u8]) -> Result<Vec<CopiedRow>> {
    let Layout { name: table, columns, .. } = layout;
    let sql = format!("SELECT {}, checksum FROM {table} WHERE {} = ?", columns.join(", "), columns[0]);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query([Text(name)])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let (row, sum) = read(row, layout);
        if sum != Value::Int(checksum(&row)) {
            return Err(CopyError::Damaged(format!("a row of {table} does not have its checksum")));
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Makes sure that as many rows are found by their domain as were found by their key.
fn verify_index(
    connection: &Connection,
    layout: &Layout,
    generation: i64,
    domain: &[u8],
    name: &[u8],
    found: usize,
) -> Result<()> {
    let (table, index) = (layout.name, index_of_domain(layout.name, generation));
    let sql = format!("SELECT COUNT(*) FROM {table} INDEXED BY {index} WHERE domain = ? AND {} = ?", layout.columns[0]);
    let count: i64 = connection.prepare_cached(&sql)?.query_row([Text(domain), Text(name)], |row| row.get(0))?;
    match usize::try_from(count) {
        Ok(count) if count == found => Ok(()),
        _ => Err(CopyError::Damaged(format!("an index of {table} does not match it"))),
    }
}

fn verify_domain(connection: &Connection, layout: &Layout, name: &[u8]) -> Result<()> {
    if read_verified(connection, layout, name)?.is_empty() {
        verify_neighbours(connection, layout, name)
    } else {
        Ok(())
    }
}

/// Checks the rows before and after those whose key begins with `name`: a row in a damaged page may not be found, and
/// then the rows next to it are damaged too.
fn verify_neighbours(connection: &Connection, layout: &Layout, name: &[u8]) -> Result<()> {
    let Layout { name: table, columns, .. } = layout;
    for (sign, order) in [("<", "DESC"), (">", "ASC")] {
        let keys =
            columns[..layout.key].iter().map(|column| format!("{column} {order}")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT {}, checksum FROM {table} WHERE {} {sign} ? ORDER BY {keys} LIMIT 1",
            columns.join(", "),
            columns[0]
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut found = statement.query([Text(name)])?;
        let Some(row) = found.next()? else { continue };
        let (row, sum) = read(row, layout);
        let first = key(&row, layout).first().copied().unwrap_or_default();
        let ordered = if sign == "<" { first < name } else { first > name };
        if !ordered || sum != Value::Int(checksum(&row)) {
            return Err(CopyError::Damaged(format!("a row of {table} does not have its checksum")));
        }
    }
    Ok(())
}

/// Writer of single rows of a table.
struct Writing<'c> {
    connection: &'c Connection,
    layout: &'c Layout,
    insert: String,
    delete: String,
    find: String,
}

impl<'c> Writing<'c> {
    fn new(connection: &'c Connection, side: Side, layout: &'c Layout) -> Self {
        let Layout { name, columns, key, .. } = layout;
        let (table, listed) = (format!("{name}{}", side.suffix()), columns.join(", "));
        let places = vec!["?"; columns.len() + 1].join(", ");
        let by_key = columns[..*key].iter().map(|column| format!("{column} = ?")).collect::<Vec<_>>().join(" AND ");
        Writing {
            connection,
            layout,
            insert: format!("INSERT INTO {table} ({listed}, checksum) VALUES ({places})"),
            delete: format!("DELETE FROM {table} WHERE {by_key}"),
            find: format!("SELECT {listed}, checksum FROM {table} WHERE {by_key}"),
        }
    }

    fn key<'r>(&self, row: &'r CopiedRow) -> impl Iterator<Item = Text<'r>> + use<'r> {
        key(row, self.layout).into_iter().map(Text)
    }

    /// Returns the row with the same key, and its checksum.
    fn find(&self, row: &CopiedRow) -> Result<Option<(CopiedRow, Value)>> {
        let mut statement = self.connection.prepare_cached(&self.find)?;
        let mut rows = statement.query(params_from_iter(self.key(row)))?;
        Ok(rows.next()?.map(|row| read(row, self.layout)))
    }

    fn insert(&self, row: &CopiedRow) -> Result<()> {
        let sum = Value::Int(checksum(row));
        self.connection.prepare_cached(&self.insert)?.execute(params_from_iter(row.iter().chain([&sum])))?;
        Ok(())
    }

    fn delete(&self, row: &CopiedRow) -> Result<()> {
        self.delete_key(self.key(row))
    }

    fn delete_key<'r>(&self, key: impl Iterator<Item = Text<'r>>) -> Result<()> {
        self.connection.prepare_cached(&self.delete)?.execute(params_from_iter(key))?;
        Ok(())
    }
}

/// Writes what differs, and returns by how many rows the table has grown.
fn replace(connection: &Connection, side: Side, layout: &Layout, range: Range<'_>, rows: &[CopiedRow]) -> Result<i64> {
    let writing = Writing::new(connection, side, layout);
    let (condition, given) = range.condition(layout);
    let (table, suffix) = (layout.name, side.suffix());
    let stored = stored_rows(connection, side, layout, range, rows.len() + SPARE + 1)?;
    if stored.len() > rows.len() + SPARE {
        let sql = format!("DELETE FROM {table}{suffix} WHERE {condition}");
        let deleted = connection.prepare_cached(&sql)?.execute(params_from_iter(&given))?;
        rows.iter().try_for_each(|row| writing.insert(row))?;
        return Ok(signed(rows.len()) - signed(deleted));
    }
    let mut olds = stored.iter().peekable();
    for row in rows {
        while let Some((old, _)) = olds.next_if(|(old, _)| key(old, layout) < key(row, layout)) {
            writing.delete(old)?;
        }
        match olds.next_if(|(old, _)| key(old, layout) == key(row, layout)) {
            Some((old, sum)) if old == row && *sum == Value::Int(checksum(row)) => {}
            Some(_) => {
                writing.delete(row)?;
                writing.insert(row)?;
            }
            None => writing.insert(row)?,
        }
    }
    olds.try_for_each(|(old, _)| writing.delete(old))?;
    Ok(signed(rows.len()) - signed(stored.len()))
}

/// Returns at most `limit` rows of `range`, with their checksums.
fn stored_rows(
    connection: &Connection,
    side: Side,
    layout: &Layout,
    range: Range<'_>,
    most: usize,
) -> Result<Vec<(CopiedRow, Value)>> {
    let (condition, given) = range.condition(layout);
    let Layout { name, columns, key, .. } = layout;
    let (listed, keys, suffix) = (columns.join(", "), columns[..*key].join(", "), side.suffix());
    let sql = format!("SELECT {listed}, checksum FROM {name}{suffix} WHERE {condition} ORDER BY {keys} LIMIT {most}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(params_from_iter(&given))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(read(row, layout));
    }
    Ok(rows)
}

/// Returns the keys of at most `limit` rows after the key `after`.
fn stored_keys(
    connection: &Connection,
    side: Side,
    layout: &Layout,
    after: &[&[u8]],
    limit: usize,
) -> Result<Vec<Vec<Vec<u8>>>> {
    let (condition, given) = Range::Between { domain: None, after, last: &[] }.condition(layout);
    let Layout { name, columns, key, .. } = layout;
    let (keys, suffix) = (columns[..*key].join(", "), side.suffix());
    let sql = format!("SELECT {keys} FROM {name}{suffix} WHERE {condition} ORDER BY {keys} LIMIT {limit}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(params_from_iter(&given))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push((0..*key).map(|index| Value::of(row, index).bytes().to_vec()).collect());
    }
    Ok(rows)
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns the path of the lock file that the refresher of this file locks.
pub(super) fn lock_file(path: &Path) -> PathBuf {
    beside(path, ".lock")
}
