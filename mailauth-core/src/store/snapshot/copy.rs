//! The file: an SQLite database of our own, with the values of the original's rows as they stood there.
//!
//! Its columns have no types and no rules, so that what could not be used there cannot be used here either. It is changed
//! in place, a page of rows in one transaction each: whoever reads meanwhile sees a row as it was or as it is, and after
//! a crash every row is at least as new as the time in the file says. Without that time nothing was copied whole yet.

use super::original::{CopiedRow, Value};
use crate::account::Login;
use crate::schema::Field;
use crate::store::driver::Dialect;
use crate::store::sqlite::DIALECT;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, ToSql, TransactionBehavior, params, params_from_iter,
};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Written into the file, so that an older program's is made anew.
const FORMAT: i64 = 2;

/// The longest wait for another's transaction, each of which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many logins may wait for being copied again; with more of them everything does.
const MOST_PENDING: i64 = 200;

/// What stands for all logins among those that are to be copied again.
const ALL: &[u8] = b"";

/// One of its tables.
pub(super) struct Layout {
    name: &'static str,
    columns: &'static [&'static str],
    /// So many of the first columns are the key.
    pub(super) key: usize,
}

const ACCOUNT: [&str; Field::READ.len()] = {
    let (mut names, mut index) = ([""; Field::READ.len()], 0);
    while index < names.len() {
        names[index] = Field::READ[index].name();
        index += 1;
    }
    names
};

pub(super) const ACCOUNTS: Layout = Layout { name: "accounts", columns: &ACCOUNT, key: 1 };
pub(super) const DOMAINS: Layout =
    Layout { name: "domains", columns: &["name", "enabled", "quota_bytes", "quota_messages"], key: 1 };
pub(super) const ALIASES: Layout = Layout { name: "aliases", columns: &["address", "target", "position"], key: 2 };

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
    #[error("it belongs to another user or others may read it; remove it")]
    NotOurs,
    /// Of another program or database, or spoilt: it has to be made anew.
    #[error("it is not a copy of this database")]
    Unfit,
}

impl Trouble {
    /// Can only a new file help?
    fn is_spoilt(&self) -> bool {
        let code = match self {
            Trouble::Sql(error) => error.sqlite_error_code(),
            Trouble::Unfit => return true,
            Trouble::Io(_) | Trouble::NotOurs => None,
        };
        matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }

    /// Is there no file?
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Trouble::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

type Result<T> = std::result::Result<T, Trouble>;

/// What the file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Seconds since 1970: everything in it is at least as new.
    pub taken: u64,
    /// Accounts in it.
    pub accounts: u64,
    /// Must the login that was asked about be copied again first?
    pub pending: bool,
}

/// What has to be copied again.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Everything.
    pub all: bool,
    /// These logins.
    pub logins: Vec<Login>,
    /// What was noted, to be crossed off when it is done.
    pub notes: Vec<i64>,
}

/// The file, by one connection that is made when it is needed.
pub(super) struct Copy {
    path: PathBuf,
    /// Which database it is a copy of.
    origin: String,
    open: Mutex<Option<Open>>,
}

struct Open {
    connection: Connection,
    /// What tells the file from another that takes its name.
    file: (u64, u64),
}

impl Copy {
    pub(super) fn new(path: &Path, origin: String) -> Self {
        Copy { path: path.to_owned(), origin, open: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes sure that there is a file, and that it is fit. For the only one who refreshes it.
    pub(super) fn prepare(&self) -> Result<()> {
        match self.with(|_| Ok(())) {
            Err(trouble) if trouble.is_spoilt() => self.remove()?,
            Err(trouble) if trouble.is_absence() => {}
            done => return done,
        }
        create(&self.path, &self.origin)
    }

    /// A change that was being made when its program ended is over.
    pub(super) fn let_go(&self) -> Result<()> {
        self.with(|connection| Ok(connection.execute("UPDATE pending SET held = 0", []).map(drop)?))
    }

    fn remove(&self) -> Result<()> {
        *self.lock() = None;
        for end in ["-wal", "-shm", ""] {
            match fs::remove_file(beside(&self.path, end)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// What it says of itself and, where one is given, of a login; `None` while nothing was copied whole.
    pub(super) fn standing(&self, login: Option<&Login>) -> Result<Option<Standing>> {
        self.with(|connection| standing(connection, login.map_or(ALL, |login| login.as_str().as_bytes())))
    }

    /// Is anything to be copied again?
    pub(super) fn has_pending(&self) -> Result<bool> {
        self.with(|connection| Ok(connection.query_row("SELECT EXISTS (SELECT 1 FROM pending)", [], |row| row.get(0))?))
    }

    /// Notes that a login, or everything, has to be copied again. With `held`, not before [`Copy::release`] is told.
    pub(super) fn note(&self, login: Option<&Login>, held: bool) -> Result<i64> {
        self.change(|connection| {
            let many = "SELECT COUNT(*) >= ? FROM pending WHERE held = 0";
            let many = connection.query_row(many, [MOST_PENDING], |row| row.get(0))?;
            if many && !held {
                connection.execute("DELETE FROM pending WHERE held = 0", [])?;
            }
            let login = login.filter(|_| !many || held).map_or(ALL, |login| login.as_str().as_bytes());
            connection.execute("INSERT INTO pending (login, held) VALUES (?, ?)", params![login, held])?;
            Ok(connection.last_insert_rowid())
        })
    }

    /// The change that a note was held for is over.
    pub(super) fn release(&self, note: i64, login: &Login) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO pending (id, login, held) VALUES (?, ?, 0)";
        self.change(|connection| Ok(connection.execute(sql, params![note, login.as_str().as_bytes()]).map(drop)?))
    }

    /// What has to be copied again now.
    pub(super) fn pending(&self) -> Result<Pending> {
        self.with(|connection| {
            let mut pending = Pending::default();
            let mut statement = connection.prepare_cached("SELECT id, login FROM pending WHERE held = 0")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let login: Vec<u8> = row.get(1)?;
                pending.notes.push(row.get(0)?);
                match Login::parse(&login, None) {
                    Ok(login) if !pending.logins.contains(&login) => pending.logins.push(login),
                    Ok(_) => {}
                    Err(_) => pending.all = true,
                }
            }
            Ok(pending)
        })
    }

    /// Puts rows in the place of those of these logins.
    pub(super) fn replace_accounts<'a>(
        &self,
        logins: impl Iterator<Item = &'a [u8]>,
        rows: &[CopiedRow],
    ) -> Result<()> {
        self.change(|connection| {
            let mut delete = connection.prepare_cached("DELETE FROM accounts WHERE login = ?")?;
            for login in logins {
                delete.execute([Text(login)])?;
            }
            insert(connection, &ACCOUNTS, rows)
        })
    }

    /// Puts rows in the place of those whose keys are after `after` and not after `last`; neither is a bound where it is
    /// empty. Nothing is written where they stand there already.
    pub(super) fn replace(&self, layout: &Layout, after: &[&[u8]], last: &[&[u8]], rows: &[CopiedRow]) -> Result<()> {
        let Layout { name, columns, .. } = layout;
        let (listed, keys) = (columns.join(", "), columns[..layout.key].join(", "));
        let bound = |sign, key: &[&[u8]]| match key {
            [] => "1".to_owned(),
            key => format!("({keys}) {sign} ({})", vec!["?"; key.len()].join(", ")),
        };
        let range = format!("{} AND {}", bound(">", after), bound("<=", last));
        let key = || params_from_iter(after.iter().chain(last).map(|part| Text(part)));
        self.change(|connection| {
            // One more than are wanted, and no more, whatever stands there.
            let sql = format!("SELECT {listed} FROM {name} WHERE {range} ORDER BY {keys} LIMIT {}", rows.len() + 1);
            let mut same = 0;
            let mut select = connection.prepare_cached(&sql)?;
            let mut found = select.query(key())?;
            while let Some(row) = found.next()? {
                let stands: CopiedRow = (0..columns.len()).map(|index| Value::of(row, index)).collect();
                if rows.get(same) != Some(&stands) {
                    same = usize::MAX;
                    break;
                }
                same += 1;
            }
            if same == rows.len() {
                return Ok(());
            }
            connection.prepare_cached(&format!("DELETE FROM {name} WHERE {range}"))?.execute(key())?;
            insert(connection, layout, rows)
        })
    }

    /// Crosses off what was copied again.
    pub(super) fn cross_off(&self, notes: &[i64]) -> Result<()> {
        self.change(|connection| cross_off(connection, notes))
    }

    /// Everything in it is at least as new as `taken`, and what was noted before is done.
    pub(super) fn is_whole(&self, taken: u64, notes: &[i64]) -> Result<u64> {
        self.change(|connection| {
            let count = connection.query_row("SELECT COUNT(*) FROM accounts", [], |row| row.get(0))?;
            connection
                .execute("UPDATE copy SET taken = ?, accounts = ?", [taken.try_into().unwrap_or(i64::MAX), count])?;
            cross_off(connection, notes)?;
            Ok(count.try_into().unwrap_or(0))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the file that is there now.
    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let mut slot = self.lock();
        let file = ours(&self.path)?;
        let open = match slot.take().filter(|open| open.file == file) {
            Some(open) => slot.insert(open),
            None => slot.insert(Open { connection: open(&self.path, &self.origin)?, file }),
        };
        work(&mut open.connection)
    }

    /// Runs `work` in a transaction.
    fn change<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
    }
}

/// Looks at the file of another process without changing it; `None` while nothing was copied whole.
pub(super) fn look(path: &Path, origin: &str) -> Result<Option<Standing>> {
    fs::metadata(path)?;
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(PATIENCE)?;
    fits(&connection, origin)?;
    standing(&connection, ALL)
}

/// The path of a file that belongs to the one at `path`.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn standing(connection: &Connection, login: &[u8]) -> Result<Option<Standing>> {
    let sql = "SELECT taken, accounts, EXISTS (SELECT 1 FROM pending WHERE login = ? OR login = x'') FROM copy";
    let mut statement = connection.prepare_cached(sql)?;
    let read = |row: &rusqlite::Row<'_>| {
        let (taken, accounts): (Option<i64>, i64) = (row.get(0)?, row.get(1)?);
        let pending = row.get(2)?;
        Ok(taken.map(|taken| Standing { taken: taken.unsigned_abs(), accounts: accounts.unsigned_abs(), pending }))
    };
    Ok(statement.query_row([login], read)?)
}

fn insert(connection: &Connection, Layout { name, columns, .. }: &Layout, rows: &[CopiedRow]) -> Result<()> {
    let places = vec!["?"; columns.len()].join(", ");
    let sql = format!("INSERT INTO {name} ({}) VALUES ({places})", columns.join(", "));
    let mut insert = connection.prepare_cached(&sql)?;
    Ok(rows.iter().try_for_each(|row| insert.execute(params_from_iter(row)).map(drop))?)
}

fn cross_off(connection: &Connection, notes: &[i64]) -> Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM pending WHERE id = ? AND held = 0")?;
    Ok(notes.iter().try_for_each(|note| delete.execute([note]).map(drop))?)
}

/// What tells a file that is ours alone from another.
fn ours(path: &Path) -> Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    let own = metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw();
    if own && metadata.mode() & 0o077 == 0 { Ok((metadata.dev(), metadata.ino())) } else { Err(Trouble::NotOurs) }
}

fn open(path: &Path, origin: &str) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -1024")?;
    fits(&connection, origin)?;
    Ok(connection)
}

fn fits(connection: &Connection, origin: &str) -> Result<()> {
    let format: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if format != FORMAT {
        return Err(Trouble::Unfit);
    }
    let written: Option<String> = connection.query_row("SELECT origin FROM copy", [], |row| row.get(0)).optional()?;
    if written.as_deref() == Some(origin) { Ok(()) } else { Err(Trouble::Unfit) }
}

fn create(path: &Path, origin: &str) -> Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(PATIENCE)?;
    // Readers and the writer do not wait for each other in this mode, which stays with the file.
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let transaction = connection.transaction()?;
    for Layout { name, columns, key } in [ACCOUNTS, DOMAINS, ALIASES] {
        let (all, keys) = (columns.join(", "), columns[..key].join(", "));
        transaction
            .execute_batch(&format!("CREATE TABLE {name} ({all}); CREATE INDEX {name}_key ON {name} ({keys})"))?;
    }
    let Dialect { migrations, .. } = DIALECT;
    transaction.execute_batch(&format!(
        "CREATE TABLE schema_version (version);
         INSERT INTO schema_version VALUES ({});
         CREATE TABLE copy (origin, taken, accounts);
         CREATE TABLE pending (id INTEGER PRIMARY KEY AUTOINCREMENT, login, held);
         CREATE INDEX pending_login ON pending (login);
         PRAGMA user_version = {FORMAT}",
        migrations.len() + 1
    ))?;
    transaction.execute("INSERT INTO copy VALUES (?, NULL, 0)", [origin])?;
    Ok(transaction.commit()?)
}

/// Text of any bytes.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.expose()),
            // Nothing that a column may hold is a fraction.
            Value::Other => ValueRef::Real(0.5),
        }))
    }
}
