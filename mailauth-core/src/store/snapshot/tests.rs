//! Tests over a table that becomes unreachable, a file, and two clocks.

use super::*;
use crate::Secret;
use crate::mailbox::Unusable;
use crate::schema::Field;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

/// A table in memory.
#[derive(Default)]
struct Table {
    accounts: Mutex<Vec<CopiedRow>>,
    aliases: Mutex<Vec<CopiedRow>>,
    domains: Mutex<Vec<CopiedRow>>,
    /// Error that answers every question except copies.
    error: Mutex<Option<StoreError>>,
    /// Error that answers copies.
    copies: Mutex<Option<StoreError>>,
    /// Number of pages that can still be copied, if that is limited.
    pages: Mutex<Option<usize>>,
    /// True if the next copy panics.
    panics: AtomicBool,
}

fn text(text: &str) -> Value {
    Value::Text(Secret::from(text))
}

fn raw(name: &str, password: &str) -> CopiedRow {
    let domain = name.rsplit('@').next().unwrap();
    let mut row = vec![text(name), text(password), Value::Int(1), text(domain)];
    row.resize(Field::READ.len() - 1, Value::Null);
    row.push(Value::Int(1));
    row
}

fn row(name: &str, password: &str) -> AccountRow {
    AccountRow { password: Password(password.into()), ..AccountRow::new(login(name)) }
}

fn login(name: &str) -> Login {
    Login::parse(name.as_bytes(), None).unwrap()
}

fn away() -> StoreError {
    StoreError::Unreachable { place: "memory".into(), reason: "on purpose".into() }
}

fn refused() -> StoreError {
    StoreError::Refused { place: "memory".into(), reason: "on purpose".into() }
}

impl Table {
    fn check(&self) -> Result<(), StoreError> {
        self.error.lock().clone().map_or(Ok(()), Err)
    }

    fn set(&self, name: &str, new: Option<CopiedRow>) {
        let mut rows = self.accounts.lock();
        rows.retain(|row| row[0].bytes() != name.as_bytes());
        rows.extend(new);
        rows.sort_by(|one, two| one[0].bytes().cmp(two[0].bytes()));
    }
}

impl AccountStore for Table {
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.check()?;
        let rows = self.accounts.lock();
        let found = rows.iter().find(|row| row[0].bytes() == login.as_str().as_bytes());
        Ok(found.map(|found| row(login.as_str(), std::str::from_utf8(found[1].bytes()).unwrap())))
    }

    fn look_again(&self, login: &Login, seen: &Seen, _: Instant) -> Result<Option<Seen>, StoreError> {
        if seen.may_be_old() { self.find(login).map(Seen::new).map(Some) } else { Ok(None) }
    }

    fn set_password(&self, login: &Login, _: &Password, new: &Password) -> Result<bool, StoreError> {
        self.check()?;
        self.set(login.as_str(), Some(raw(login.as_str(), std::str::from_utf8(new.0.expose()).unwrap())));
        Ok(true)
    }

    fn enumerate(&self, _: Option<&Cursor>, _: usize) -> Result<Page, StoreError> {
        self.check()?;
        Ok(Page::default())
    }
}

impl PoolStore for Table {
    fn pool_limits(&self, _: &str) -> Result<Limits, StoreError> {
        self.check().map(|()| Limits::NONE)
    }

    fn pool_use(&self, _: &str) -> Result<PoolUse, StoreError> {
        self.check().map(|()| PoolUse::default())
    }

    fn publish(&self, _: &Login, _: Usage) -> Result<PoolUse, StoreError> {
        self.check().map(|()| PoolUse::default())
    }
}

impl MailStore for Table {
    fn domain(&self, _: &DomainName) -> Result<Option<DomainStanding>, StoreError> {
        self.check().map(|()| None)
    }

    fn alias_targets(&self, _: &str) -> Result<Vec<String>, StoreError> {
        self.check().map(|()| Vec::new())
    }
}

impl Original for Table {
    fn copy(&self, part: Part<'_>, limit: usize) -> Result<Vec<CopiedRow>, StoreError> {
        self.time()?;
        assert!(!self.panics.swap(false, Ordering::SeqCst), "on purpose");
        if let Some(left) = &mut *self.pages.lock() {
            *left = left.checked_sub(1).ok_or_else(away)?;
        }
        let from = |rows: &Mutex<Vec<CopiedRow>>, fits: &dyn Fn(&CopiedRow) -> bool| {
            rows.lock().iter().filter(|row| fits(row)).take(limit).cloned().collect::<Vec<_>>()
        };
        Ok(match part {
            Part::Account(login) => from(&self.accounts, &|row| row[0].bytes() == login.as_str().as_bytes()),
            Part::Accounts { after } => from(&self.accounts, &|row| row[0].bytes() > after),
            Part::Changed { since, after } => {
                let mut rows = from(&self.accounts, &|row| (row[11].bytes(), row[0].bytes()) > (since, after));
                rows.iter_mut().for_each(|row| row.push(row[11].clone()));
                rows
            }
            Part::ChangedDomains { .. } | Part::ChangedAliases { .. } | Part::ChangedAliasDomains { .. } => Vec::new(),
            Part::AliasDomain(_) | Part::AliasDomains { .. } => Vec::new(),
            Part::OfDomain { domain, after } => {
                from(&self.accounts, &|row| row[3].bytes() == domain && row[0].bytes() > after)
            }
            Part::AliasesOfDomain { domain, after } => {
                from(&self.aliases, &|row| row[3].bytes() == domain && (row[0].bytes(), row[1].bytes()) > after)
            }
            Part::Domain(name) => from(&self.domains, &|row| row[0].bytes() == name),
            Part::Aliases { after } => from(&self.aliases, &|row| (row[0].bytes(), row[1].bytes()) > after),
            Part::Domains { after } => from(&self.domains, &|row| row[0].bytes() > after),
        })
    }

    fn time(&self) -> Result<Vec<u8>, StoreError> {
        self.copies.lock().clone().map_or(Ok(b"2026".to_vec()), Err)
    }
}

/// A table with Anna and Ben, a directory for the snapshot, and both clocks.
struct Story {
    table: Arc<Table>,
    folder: TempDir,
    config: Config,
    now: Arc<Mutex<(Instant, SystemTime)>>,
}

type Over = Snapshot<Table>;

fn story() -> Story {
    let (table, folder) = (Arc::new(Table::default()), tempfile::tempdir().unwrap());
    *table.domains.lock() = vec![vec![text("x.example"), Value::Int(1), Value::Int(7), Value::Null, Value::Int(0)]];
    table.set("anna@x.example", Some(raw("anna@x.example", "one")));
    table.set("ben@x.example", Some(raw("ben@x.example", "one")));
    let mut config = Config::default();
    config.database.url = "mysql://u@h/d".parse().unwrap();
    config.outage.snapshot = folder.path().join("copy.db");
    config.outage.refresh = Duration::from_millis(20);
    Story { table, folder, config, now: Arc::new(Mutex::new((Instant::now(), SystemTime::now()))) }
}

impl Story {
    fn path(&self) -> &PathBuf {
        &self.config.outage.snapshot
    }

    /// Returns a snapshot as a process that starts now opens it.
    fn start(&self) -> Over {
        let now = Arc::clone(&self.now);
        Snapshot::by_clock(Arc::clone(&self.table), &self.config, Arc::new(move || *now.lock()))
    }

    /// Returns a snapshot that has a copy.
    fn copied(&self) -> Over {
        let snapshot = self.start();
        let refreshed = || snapshot.keeper.as_ref().unwrap().fresh.began().is_some();
        eventually("a copy", || snapshot.state().snapshot.is_some() && refreshed());
        snapshot
    }

    /// Makes the table fail every question and every copy.
    fn goes_away(&self) {
        *self.table.copies.lock() = Some(away());
        *self.table.error.lock() = Some(away());
    }

    fn comes_back(&self) {
        *self.table.copies.lock() = None;
        *self.table.error.lock() = None;
    }

    fn wait(&self, known: Duration, shown: Duration) {
        let mut now = self.now.lock();
        *now = (now.0 + known, now.1 + shown);
    }
}

fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "no {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn keeper(snapshot: &Over) -> &Keeper {
    snapshot.keeper.as_ref().unwrap()
}

/// Returns true if everything that was noted has been copied.
fn nothing_waits(snapshot: &Over) -> bool {
    keeper(snapshot).copy.pending().is_ok_and(|pending| pending.is_empty())
}

fn seen(snapshot: &Over, name: &str) -> Result<Seen, StoreError> {
    snapshot.look_up(&login(name), Instant::now() + Duration::from_secs(5))
}

/// Returns the password that a look-up sees, or `-`, and whether it is from the copy.
fn look(snapshot: &Over, name: &str) -> Result<(String, bool), StoreError> {
    let seen = seen(snapshot, name)?;
    let password = |row: &AccountRow| String::from_utf8(row.password.0.expose().to_vec()).unwrap();
    Ok((seen.row.as_ref().map_or("-".into(), password), seen.is_copied()))
}

fn copied(password: &str) -> Result<(String, bool), StoreError> {
    Ok((password.into(), true))
}

#[test]
fn while_the_store_is_away_the_copy_answers_and_not_a_moment_longer() {
    let story = story();
    let snapshot = story.copied();
    assert_eq!(look(&snapshot, "anna@x.example"), Ok(("one".into(), false)));
    story.goes_away();
    assert_eq!(seen(&snapshot, "anna@x.example").unwrap().row, Some(row("anna@x.example", "one")));
    assert_eq!(look(&snapshot, "nobody@x.example"), copied("-"));
    assert!(snapshot.state().snapshot.unwrap().in_use);
    assert_eq!(snapshot.enumerate(None, 10).unwrap().rows.len(), 2);
    assert_eq!(snapshot.domain_enabled(&DomainName::parse("x.example").unwrap()), Ok(Some(true)));
    assert_eq!(snapshot.pool_limits("x.example").unwrap(), Limits::from_columns(Some(7), None));
    story.comes_back();
    assert_eq!(look(&snapshot, "anna@x.example"), Ok(("one".into(), false)));
    assert!(!snapshot.state().snapshot.unwrap().in_use);
}

#[test]
fn what_a_replica_said_just_before_stands_where_the_copy_says_the_same() {
    let story = story();
    let snapshot = story.copied();
    let again = |name: &str, row: Option<AccountRow>| {
        snapshot.look_again(&login(name), &Seen::new(row).behind(true), Instant::now() + Duration::from_secs(5))
    };
    let same = Some(row("anna@x.example", "one"));
    assert_eq!(again("anna@x.example", same.clone()).unwrap().unwrap().row, same);
    story.goes_away();
    assert!(matches!(again("anna@x.example", same), Ok(None)));
    assert!(matches!(again("nobody@x.example", None), Ok(None)));
    // It is unknown which of the two is newer.
    assert_eq!(again("anna@x.example", Some(row("anna@x.example", "two"))).map(drop), Err(away()));
    assert_eq!(again("anna@x.example", None).map(drop), Err(away()));
    snapshot.forget(&Changed::Account(login("anna@x.example")));
    assert_eq!(again("anna@x.example", Some(row("anna@x.example", "one"))).map(drop), Err(away()));
}

#[test]
fn what_is_written_or_has_to_be_the_last_word_is_never_the_copys() {
    let story = story();
    let snapshot = story.copied();
    story.goes_away();
    let anna = login("anna@x.example");
    assert_eq!(snapshot.find(&anna), Err(away()));
    assert_eq!(snapshot.set_password(&anna, &Password("one".into()), &Password("two".into())), Err(away()));
    assert_eq!(snapshot.pool_use("x.example"), Err(away()));
    assert_eq!(snapshot.publish(&anna, Usage::default()), Err(away()));
}

#[test]
fn a_refusal_of_the_database_is_its_answer() {
    let story = story();
    let snapshot = story.copied();
    *story.table.error.lock() = Some(refused());
    assert_eq!(look(&snapshot, "anna@x.example"), Err(refused()));
}

#[test]
fn a_row_that_cannot_be_used_there_cannot_be_used_here() {
    let story = story();
    let odd = |index: usize, value| {
        let mut odd = raw("odd@x.example", "one");
        odd[index] = value;
        odd
    };
    for (column, row) in
        [("uid", odd(5, text("many"))), ("home", odd(7, Value::Other)), ("enabled", odd(2, Value::Int(2)))]
    {
        story.comes_back();
        story.table.set("odd@x.example", Some(row));
        let snapshot = story.copied();
        snapshot.forget(&Changed::Everything);
        eventually("a copy of it", || nothing_waits(&snapshot));
        story.goes_away();
        let error = look(&snapshot, "odd@x.example").unwrap_err();
        assert!(matches!(error, StoreError::Doubtful(Unusable { column: found, .. }) if found == column), "{error}");
    }
}

#[test]
fn changes_and_deletions_are_copied_over_many_pages() {
    let story = story();
    let name = |number: i32| format!("user{number:05}@x.example");
    (0..2500).for_each(|number| {
        let row = raw(&name(number), "one");
        story.table.accounts.lock().push(row);
    });
    let alias = |target: &str| vec![text("all@x.example"), text(target), Value::Int(0), text("x.example")];
    *story.table.aliases.lock() = (0..1500).map(|n| alias(&format!("{n:04}@y.example"))).collect();
    let snapshot = story.copied();
    assert_eq!(snapshot.state().snapshot.unwrap().accounts, 2502);
    for number in (0..2500).filter(|number| number % 1000 != 7) {
        story.table.set(&name(number), (number % 2 == 0).then(|| raw(&name(number), "two")));
    }
    story.table.aliases.lock().truncate(3);
    snapshot.forget(&Changed::Everything);
    eventually("the rest", || snapshot.state().snapshot.unwrap().accounts == 1255);
    story.goes_away();
    assert_eq!((look(&snapshot, &name(1)), look(&snapshot, &name(2))), (copied("-"), copied("two")));
    assert_eq!((look(&snapshot, &name(7)), look(&snapshot, &name(2498))), (copied("one"), copied("two")));
    assert_eq!(snapshot.alias_targets("all@x.example").unwrap().len(), 3);
}

#[test]
fn a_copy_answers_for_so_long_and_no_longer_whatever_the_clock_does() {
    let story = story();
    let snapshot = story.copied();
    story.goes_away();
    let day = story.config.outage.max_age;
    story.wait(day - Duration::from_secs(5), day - Duration::from_secs(5));
    assert_eq!(look(&snapshot, "anna@x.example"), copied("one"));
    // The system's clock is set back, and the monotonic one goes on.
    story.now.lock().1 -= day * 2;
    assert_eq!(look(&snapshot, "anna@x.example"), copied("one"));
    story.wait(Duration::from_secs(10), Duration::from_secs(10));
    assert_eq!(look(&snapshot, "anna@x.example"), Err(away()));
    drop(snapshot);
    // A new process has only the file, which is from tomorrow.
    assert_eq!(look(&story.start(), "anna@x.example"), Err(away()));
    story.wait(Duration::ZERO, day * 2);
    assert_eq!(look(&story.start(), "anna@x.example"), Err(away()), "it is a day old again");
}

#[test]
fn a_clock_that_is_a_little_slow_makes_a_copy_no_younger_than_new() {
    let story = story();
    drop(story.copied());
    story.goes_away();
    story.now.lock().1 -= Duration::from_secs(100);
    let snapshot = story.start();
    assert_eq!(look(&snapshot, "anna@x.example"), copied("one"));
    assert_eq!(snapshot.state().snapshot.unwrap().age, Duration::ZERO);
}

#[test]
fn a_password_changed_just_before_is_not_undone_by_the_copy_nor_by_a_restart() {
    let story = story();
    let snapshot = story.copied();
    *story.table.copies.lock() = Some(away());
    let anna = login("anna@x.example");
    assert_eq!(snapshot.set_password(&anna, &Password("one".into()), &Password("two".into())), Ok(true));
    story.goes_away();
    assert_eq!((look(&snapshot, "anna@x.example"), look(&snapshot, "ben@x.example")), (Err(away()), copied("one")));
    assert_eq!(snapshot.enumerate(None, 10).unwrap_err(), away(), "a list would have the old row");
    drop(snapshot);
    let snapshot = story.start();
    assert_eq!((look(&snapshot, "anna@x.example"), look(&snapshot, "ben@x.example")), (Err(away()), copied("one")));
    story.comes_back();
    eventually("the row", || nothing_waits(&snapshot));
    story.goes_away();
    assert_eq!(look(&snapshot, "anna@x.example"), copied("two"));
}

/// Returns a snapshot whose copy is kept from following changes.
fn stuck(story: &Story) -> Over {
    let snapshot = story.copied();
    story.goes_away();
    snapshot
}

#[test]
fn what_a_note_names_waits_and_all_else_is_answered() {
    let story = story();
    for (name, domain) in [("carl@y.example", "y.example"), ("dora@sub.y.example", "sub.y.example")] {
        story.table.set(name, Some(raw(name, "one")));
        story
            .table
            .domains
            .lock()
            .insert(0, vec![text(domain), Value::Int(1), Value::Null, Value::Null, Value::Int(0)]);
    }
    story.table.domains.lock().sort_by(|one, two| one[0].bytes().cmp(two[0].bytes()));
    let alias = |address: &str, domain: &str| vec![text(address), text("z@z.example"), Value::Int(0), text(domain)];
    *story.table.aliases.lock() = vec![alias("@y.example", "y.example"), alias("info@x.example", "x.example")];
    let snapshot = stuck(&story);
    let answers = || {
        let logins = ["anna@x.example", "ben@x.example", "carl@y.example", "dora@sub.y.example", "new@x.example"];
        let logins = logins.map(|name| look(&snapshot, name).is_ok());
        let aliases = ["info@x.example", "@y.example"].map(|address| snapshot.alias_targets(address).is_ok());
        let domain = |name| snapshot.domain_enabled(&DomainName::parse(name).unwrap()).is_ok();
        (logins, aliases, ["x.example", "y.example", "no.example"].map(domain))
    };
    let why = || (keeper(&snapshot).copy.damage(), keeper(&snapshot).fresh.failure.lock().clone());
    assert_eq!(answers(), ([true; 5], [true; 2], [true; 3]), "{:?}", why());
    snapshot.forget(&Changed::Everything);
    assert_eq!(answers(), ([true; 5], [true; 2], [true; 3]), "it names nothing");
    snapshot.forget(&Changed::Account(login("anna@x.example")));
    assert_eq!(answers(), ([false, true, true, true, true], [true; 2], [true; 3]));
    snapshot.forget(&Changed::alias("info@x.example").unwrap());
    assert_eq!(answers(), ([false, true, true, true, true], [false, true], [true; 3]));
    snapshot.forget(&Changed::Domain(DomainName::parse("y.example").unwrap()));
    assert_eq!(answers(), ([false, true, false, true, true], [false, false], [true, false, true]));
    snapshot.forget(&Changed::Additions);
    assert_eq!(answers(), ([false, true, false, true, false], [false, false], [true, false, false]));
    assert_eq!(snapshot.enumerate(None, 10).unwrap_err(), away(), "a list would not be whole");
    story.comes_back();
    eventually("all", || nothing_waits(&snapshot));
    story.goes_away();
    assert_eq!(answers(), ([true; 5], [true; 2], [true; 3]));
}

#[test]
fn changes_are_copied_by_what_they_name() {
    let story = story();
    let snapshot = story.copied();
    let told = |changed: Changed| {
        snapshot.forget(&changed);
        eventually("a copy of it", || nothing_waits(&snapshot));
    };
    story.table.set("anna@x.example", Some(raw("anna@x.example", "two")));
    told(Changed::Account(login("anna@x.example")));
    story.table.set("new@y.example", Some(raw("new@y.example", "one")));
    story.table.domains.lock().push(vec![text("y.example"), Value::Int(1), Value::Null, Value::Null, Value::Int(0)]);
    told(Changed::Account(login("new@y.example")));
    let alias = |target: &str| vec![text("info@x.example"), text(target), Value::Int(0), text("x.example")];
    *story.table.aliases.lock() = vec![alias("a@z.example"), alias("b@z.example")];
    told(Changed::alias("info@x.example").unwrap());
    story.goes_away();
    assert_eq!(look(&snapshot, "anna@x.example"), copied("two"));
    assert_eq!(look(&snapshot, "new@y.example"), copied("one"), "with its domain");
    assert_eq!(snapshot.alias_targets("info@x.example").unwrap(), ["a@z.example", "b@z.example"]);
    assert_eq!(snapshot.state().snapshot.unwrap().accounts, 3);

    story.comes_back();
    story.table.domains.lock().remove(0);
    story.table.aliases.lock().clear();
    ["anna@x.example", "ben@x.example"].iter().for_each(|name| story.table.set(name, None));
    told(Changed::Domain(DomainName::parse("x.example").unwrap()));
    story.goes_away();
    assert_eq!((look(&snapshot, "anna@x.example"), look(&snapshot, "ben@x.example")), (copied("-"), copied("-")));
    assert_eq!(snapshot.alias_targets("info@x.example").unwrap(), [""; 0]);
    assert_eq!(snapshot.domain_enabled(&DomainName::parse("x.example").unwrap()), Ok(None));
    assert_eq!((look(&snapshot, "new@y.example"), snapshot.state().snapshot.unwrap().accounts), (copied("one"), 1));
}

#[test]
fn a_domain_that_is_disabled_changes_one_row_and_counts_for_its_accounts() {
    let story = story();
    let snapshot = story.copied();
    story.table.domains.lock()[0][1] = Value::Int(0);
    snapshot.forget(&Changed::Domain(DomainName::parse("x.example").unwrap()));
    eventually("a copy of it", || nothing_waits(&snapshot));
    story.goes_away();
    assert!(!seen(&snapshot, "anna@x.example").unwrap().row.unwrap().domain_enabled);
}

#[test]
fn more_notes_than_can_be_kept_stop_the_copy_until_all_is_read() {
    let story = story();
    let snapshot = stuck(&story);
    let copy = &keeper(&snapshot).copy;
    for number in 0..=10_000 {
        // Each takes a write to the disk, and not all of them matter here.
        let changed = Changed::Account(login(&format!("user{number}@x.example")));
        if number < 9_990 { fill(copy, number) } else { copy.note(&changed, false).map(drop).unwrap() }
    }
    assert_eq!(look(&snapshot, "ben@x.example"), Err(away()));
    story.comes_back();
    eventually("all", || nothing_waits(&snapshot));
    story.goes_away();
    assert_eq!(look(&snapshot, "ben@x.example"), copied("one"));
}

/// Writes a note without waiting for the disk.
fn fill(copy: &Copy, number: i32) {
    thread_local!(static FILE: std::cell::RefCell<Option<rusqlite::Connection>> = const { std::cell::RefCell::new(None) });
    FILE.with_borrow_mut(|file| {
        let file = file.get_or_insert_with(|| {
            let file = rusqlite::Connection::open(copy.path()).unwrap();
            file.execute_batch("PRAGMA synchronous = OFF").unwrap();
            file
        });
        let name = format!("user{number}@x.example").into_bytes();
        file.execute("INSERT INTO pending (kind, name, held) VALUES (0, ?, 0)", [name]).unwrap();
    });
}

#[test]
fn a_change_that_cannot_be_noted_waits_nevertheless() {
    let story = story();
    let snapshot = story.copied();
    *story.table.copies.lock() = Some(away());
    fs::set_permissions(story.path(), fs::Permissions::from_mode(0o644)).unwrap();
    snapshot.forget(&Changed::Account(login("anna@x.example")));
    assert_eq!(snapshot.unnoted(), [Changed::Account(login("anna@x.example"))], "for a store in its place");
    story.goes_away();
    fs::set_permissions(story.path(), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!((look(&snapshot, "anna@x.example"), look(&snapshot, "ben@x.example")), (Err(away()), copied("one")));
    story.comes_back();
    eventually("a copy of it", || keeper(&snapshot).fresh.lost.lock().changes.is_empty() && nothing_waits(&snapshot));
    story.goes_away();
    assert_eq!(look(&snapshot, "anna@x.example"), copied("one"));
}

#[test]
fn one_at_a_time_refreshes_a_file_and_the_next_follows() {
    let story = story();
    let first = story.copied();
    let second = story.start();
    second.forget(&Changed::Everything);
    eventually("the first to do it", || nothing_waits(&first));
    let lock = fs::OpenOptions::new().write(true).open(file::beside(story.path(), ".lock")).unwrap();
    let take = || rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive);
    assert!(take().is_err(), "somebody refreshes");
    drop(first);
    story.table.set("new@x.example", Some(raw("new@x.example", "one")));
    eventually("the second to do it", || second.state().snapshot.unwrap().accounts == 3);
    drop(second);
    eventually("the end", || take().is_ok());
}

#[test]
fn with_another_url_the_file_answers_until_all_of_the_new_database_is_copied() {
    let mut story = story();
    drop(story.copied());
    for (round, url) in ["mysql://u@h,standby/d", "mysql://u@other/d", "postgres://u@h/d"].into_iter().enumerate() {
        story.config.database.url = url.parse().unwrap();
        let before = if round == 0 { "one".to_owned() } else { format!("new {}", round - 1) };
        story.goes_away();
        let snapshot = story.start();
        eventually("the copy", || look(&snapshot, "anna@x.example") == copied(&before));
        // The new database is there for a moment, and becomes unreachable before all of it was read.
        let new = format!("new {round}");
        story.table.set("anna@x.example", Some(raw("anna@x.example", &new)));
        *story.table.pages.lock() = Some(1);
        story.comes_back();
        eventually("the end of it", || *story.table.pages.lock() == Some(0));
        story.goes_away();
        *story.table.pages.lock() = None;
        assert_eq!(look(&snapshot, "anna@x.example"), copied(&before), "{url}");
        snapshot.forget(&Changed::Account(login("ben@x.example")));
        assert_eq!(look(&snapshot, "ben@x.example"), Err(away()), "{url}");
        story.comes_back();
        eventually("all of it", || {
            let standing = keeper(&snapshot).copy.standing().unwrap().unwrap();
            keeper(&snapshot).copy.is_of(&standing)
                && keeper(&snapshot).fresh.began().is_some()
                && nothing_waits(&snapshot)
        });
        story.goes_away();
        assert_eq!(
            (look(&snapshot, "anna@x.example"), look(&snapshot, "ben@x.example")),
            (copied(&new), copied("one"))
        );
    }
}

#[test]
fn a_copy_of_another_database_that_another_process_keeps_does_not_answer() {
    let mut story = story();
    let first = story.copied();
    story.goes_away();
    story.config.database.url = "mysql://u@other/d".parse().unwrap();
    let second = story.start();
    assert_eq!((look(&first, "anna@x.example"), look(&second, "anna@x.example")), (copied("one"), Err(away())));
    drop(first);
    eventually("its turn", || look(&second, "anna@x.example") == copied("one"));
}

#[test]
fn a_spoilt_file_is_made_anew_and_one_that_others_may_read_is_left_alone() {
    let story = story();
    fs::write(story.path(), [7; 10_000]).unwrap();
    fs::set_permissions(story.path(), fs::Permissions::from_mode(0o600)).unwrap();
    let snapshot = story.copied();
    assert_eq!(fs::metadata(story.path()).unwrap().permissions().mode() & 0o777, 0o600);
    drop(snapshot);
    fs::set_permissions(story.path(), fs::Permissions::from_mode(0o640)).unwrap();
    story.goes_away();
    assert_eq!(look(&story.start(), "anna@x.example"), Err(away()));
}

#[test]
fn a_file_that_is_taken_away_or_a_folder_that_comes_later_is_filled() {
    let mut story = story();
    story.config.outage.snapshot = story.folder.path().join("later/copy.db");
    let snapshot = story.start();
    assert_eq!(look(&snapshot, "anna@x.example"), Ok(("one".into(), false)));
    assert_eq!(snapshot.state().snapshot, None);
    fs::create_dir(story.folder.path().join("later")).unwrap();
    eventually("a copy", || snapshot.state().snapshot.is_some());
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(file::beside(story.path(), end));
    }
    eventually("another", || story.path().exists() && snapshot.state().snapshot.is_some());
    story.goes_away();
    assert_eq!(look(&snapshot, "anna@x.example"), copied("one"));
}

#[test]
fn who_asked_while_the_copy_answered_is_not_certain_even_when_the_store_is_back() {
    let story = story();
    let snapshot = story.copied();
    let before = snapshot.doubts();
    assert_eq!(snapshot.certain_since(before), Ok(()));
    story.goes_away();
    assert_eq!(look(&snapshot, "nobody@x.example"), copied("-"));
    story.comes_back();
    assert_eq!(snapshot.certain_since(before), Err(away()));
    assert_eq!(snapshot.certain_since(snapshot.doubts()), Ok(()));
}

#[test]
fn a_large_table_is_read_by_what_was_changed() {
    let story = story();
    story.table.set("anna@x.example", Some(raw("anna@x.example", "two")));
    let copy = Arc::new(Copy::new(story.path(), Origin::of(&story.config.database.url)));
    let now = Arc::clone(&story.now);
    let work = Work {
        original: Arc::clone(&story.table),
        copy: Arc::clone(&copy),
        fresh: Arc::default(),
        interval: Duration::from_secs(60),
        max_age: Duration::from_secs(3600),
        clock: Arc::new(move || *now.lock()),
    };
    let changed = |name: &str, time: &str| {
        let mut row = raw(name, "new");
        row[11] = text(time);
        story.table.set(name, Some(row));
    };
    let mut memory = refresher::Memory::new(Instant::now());
    assert!(work.refresh(&mut memory).is_ok());
    memory.postpone_whole();
    changed("anna@x.example", "2025");
    changed("ben@x.example", "2026");
    story.wait(Duration::ZERO, Duration::from_secs(60));
    assert!(work.refresh(&mut memory).is_ok());
    let hosts = Hosts::single(vec![Arc::new(Sqlite::new(story.path(), PATIENCE))], "copy".into(), PATIENCE);
    let reader = SqlStore::new(hosts, TableModel::own());
    let stands = |name: &str| reader.find(&login(name)).unwrap().unwrap().password;
    assert!(stands("anna@x.example") == Password("two".into()), "it looks unchanged");
    assert!(stands("ben@x.example") == Password("new".into()));
    // The copy does not claim that deletions were found.
    let standing = copy.standing().unwrap().unwrap();
    assert_eq!((standing.taken + 60, standing.refreshed), (standing.refreshed, seconds(story.now.lock().1)));
}

#[test]
fn a_panic_while_copying_does_not_end_the_copying() {
    let story = story();
    let snapshot = story.copied();
    story.table.panics.store(true, Ordering::SeqCst);
    story.table.set("anna@x.example", Some(raw("anna@x.example", "two")));
    snapshot.forget(&Changed::Account(login("anna@x.example")));
    eventually("a copy of it", || nothing_waits(&snapshot));
    assert!(!story.table.panics.load(Ordering::SeqCst));
    story.goes_away();
    assert_eq!(look(&snapshot, "anna@x.example"), copied("two"));
}

#[test]
fn a_refresh_that_fails_is_told_until_one_succeeds() {
    let story = story();
    let snapshot = story.copied();
    let failure = || snapshot.state().snapshot.unwrap().failure.map(|(_, why)| why);
    let seen_from_outside = || look_at(&story).unwrap().unwrap().state.failure.map(|(_, why)| why);
    assert_eq!((failure(), seen_from_outside()), (None, None));
    *story.table.copies.lock() = Some(refused());
    eventually("a failure", || failure() == Some(refused().to_string()) && seen_from_outside() == failure());
    story.comes_back();
    eventually("a success", || failure().is_none() && seen_from_outside().is_none());
}

fn look_at(story: &Story) -> Result<Option<Kept>, String> {
    super::look(story.path(), &story.config.database.url)
}

/// Overwrites every page of the file that contains `what`, except the first page, and keeps the first `keep` bytes of
/// each.
fn overwrite(path: &Path, what: &str, keep: usize, with: u8) -> usize {
    let file = rusqlite::Connection::open(path).unwrap();
    let _: i64 = file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    let mut bytes = fs::read(path).unwrap();
    let mut count = 0;
    for page in bytes.chunks_mut(4096).skip(1) {
        if page.windows(what.len()).any(|part| part == what.as_bytes()) {
            page[keep..].fill(with);
            count += 1;
        }
    }
    std::os::unix::fs::FileExt::write_all_at(&fs::OpenOptions::new().write(true).open(path).unwrap(), &bytes, 0)
        .unwrap();
    count
}

#[test]
fn a_damaged_page_is_not_now_and_never_no_and_the_file_is_made_from_the_database_once_that_answers() {
    for (keep, with) in [(0, 0), (0, 0xff), (0, b'x'), (8, b'x'), (200, 0), (2000, b'y')] {
        let story = story();
        for number in 0..500 {
            let name = format!("user{number:03}@x.example");
            story.table.set(&name, Some(raw(&name, "one")));
        }
        let alias =
            |n: usize| vec![text(&format!("a{n:03}@x.example")), text("b@z.example"), Value::Int(0), text("x.example")];
        *story.table.aliases.lock() = (0..500).map(alias).collect();
        drop(story.copied());
        story.goes_away();
        // One page holds the account, one the alias; the file contains each twice.
        let damaged = overwrite(story.path(), "user250@x.example", keep, with)
            + overwrite(story.path(), "a250@x.example", keep, with);
        assert!(damaged >= 4, "{damaged}");
        let snapshot = story.start();
        let mut answered = 0;
        for number in 0..500 {
            match look(&snapshot, &format!("user{number:03}@x.example")) {
                Ok(found) => {
                    assert_eq!(found, ("one".into(), true), "{number} with {keep} {with}");
                    answered += 1;
                }
                Err(error) => assert_eq!(error, away()),
            }
            match snapshot.alias_targets(&format!("a{number:03}@x.example")) {
                Ok(found) => assert_eq!(found, ["b@z.example"], "{number} with {keep} {with}"),
                Err(error) => assert_eq!(error, away()),
            }
        }
        assert!((1..500).contains(&answered), "{answered} with {keep} {with}");
        story.comes_back();
        eventually("a good file", || {
            keeper(&snapshot).fresh.began().is_some()
                && keeper(&snapshot).copy.damage().is_none()
                && look_at(&story).is_ok()
        });
        story.goes_away();
        assert!((0..500).all(|n| look(&snapshot, &format!("user{n:03}@x.example")) == copied("one")), "{keep} {with}");
    }
}

#[test]
fn the_log_tells_of_an_outage_once_a_minute() {
    let notices = Notices::default();
    let (begin, path) = (Instant::now(), Path::new("/copy"));
    let said = |after: u64| {
        notices.report_use(begin + Duration::from_secs(after), path, Duration::ZERO, &away());
        notices.take_announced()
    };
    assert_eq!([0, 1, 59, 60, 61, 120].map(said), [true, false, false, true, false, true]);
}
