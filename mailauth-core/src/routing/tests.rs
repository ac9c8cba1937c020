//! Where mail goes, over a table in memory and mailboxes on a real file system.

use super::recipient::MOST_ADDRESSES;
use super::*;
use crate::DomainName;
use crate::account::{AccountRow, LoginError, Password};
use crate::answer::NotNow;
use crate::password::{self, NewScheme};
use crate::quota::{Limits, Usage};
use crate::store::{AccountStore, Cursor, Lookup, Page, PoolStore, PoolUse, StoreError};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

mod sender;

const YES: Answer<()> = Ok(());
const KEPT: Answer<DomainMail> = Ok(DomainMail::Kept);

/// A table in memory, which goes away after a number of calls, and may take its time for each.
struct Table {
    rows: Vec<AccountRow>,
    aliases: BTreeMap<String, Vec<String>>,
    domains: BTreeMap<&'static str, bool>,
    /// Domains of another kind.
    others: BTreeMap<&'static str, DomainStanding>,
    pool: Limits,
    published: Mutex<BTreeMap<Login, Usage>>,
    calls: AtomicUsize,
    answered: usize,
    takes: Duration,
    /// It is a copy that answers.
    copied: bool,
    stand_ins: AtomicU64,
}

/// With the domain x.example, its accounts anna, bruno and gone, who is disabled, and one in a disabled domain.
fn table() -> Table {
    Table {
        rows: vec![
            row("anna@x.example"),
            row("bruno@x.example"),
            AccountRow { enabled: false, ..row("gone@x.example") },
            row("carla@off.example"),
        ],
        aliases: BTreeMap::new(),
        domains: BTreeMap::from([("x.example", true), ("off.example", false)]),
        others: BTreeMap::new(),
        pool: Limits::NONE,
        published: Mutex::default(),
        calls: AtomicUsize::new(0),
        answered: usize::MAX,
        takes: Duration::ZERO,
        copied: false,
        stand_ins: AtomicU64::new(0),
    }
}

fn row(login: &str) -> AccountRow {
    AccountRow::new(parse(login))
}

fn parse(login: &str) -> Login {
    Login::parse(login.as_bytes(), None).unwrap()
}

fn alias_of(name: &str) -> DomainKind {
    DomainKind::AliasOf(DomainName::parse(name).unwrap())
}

fn outage() -> StoreError {
    StoreError::Unreachable { place: "memory".into(), reason: "on purpose".into() }
}

impl Table {
    fn alias(mut self, address: &str, targets: &[&str]) -> Self {
        self.aliases.insert(address.into(), targets.iter().map(|target| (*target).to_owned()).collect());
        self
    }

    /// In place of the rows that are there.
    fn of(self, rows: impl IntoIterator<Item = AccountRow>) -> Self {
        Table { rows: rows.into_iter().collect(), ..self }
    }

    fn other(mut self, name: &'static str, enabled: bool, kind: DomainKind) -> Self {
        self.others.insert(name, DomainStanding { enabled, kind });
        self
    }

    /// With y.example as another name of x.example.
    fn of_both(self) -> Self {
        self.other("y.example", true, alias_of("x.example"))
    }

    fn under(self, pool: &str, published: &[(&str, u64, u64)]) -> Self {
        let usage = |&(login, bytes, messages): &(&str, u64, u64)| (parse(login), Usage { bytes, messages });
        let published = Mutex::new(published.iter().map(usage).collect());
        Table { pool: Limits::parse(pool).unwrap(), published, ..self }
    }

    fn call(&self) -> Result<(), StoreError> {
        std::thread::sleep(self.takes);
        self.stand_ins.fetch_add(u64::from(self.copied), Ordering::Relaxed);
        if self.calls.fetch_add(1, Ordering::Relaxed) < self.answered { Ok(()) } else { Err(outage()) }
    }
}

impl AccountStore for Table {
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.call()?;
        let row = self.rows.iter().find(|row| row.login == *login).cloned();
        Ok(row.map(|row| AccountRow { domain_enabled: self.domains[login.domain()], ..row }))
    }

    fn set_password(&self, _: &Login, _: &Password, _: &Password) -> Result<bool, StoreError> {
        panic!("nothing to do with the way of a message")
    }

    fn enumerate(&self, _: Option<&Cursor>, _: usize) -> Result<Page, StoreError> {
        panic!("nothing to do with the way of a message")
    }
}

impl PoolStore for Table {
    fn pool_limits(&self, _: &str) -> Result<Limits, StoreError> {
        self.call()?;
        Ok(self.pool)
    }

    fn pool_use(&self, domain: &str) -> Result<PoolUse, StoreError> {
        self.call()?;
        let published = self.published.lock().unwrap();
        let of_domain: Vec<_> = published.iter().filter(|(login, _)| login.domain() == domain).collect();
        let usage = of_domain.iter().fold(Usage::default(), |sum, (_, usage)| sum.checked_add(**usage).unwrap());
        Ok(PoolUse { usage, mailboxes: of_domain.len() as u64 })
    }

    fn publish(&self, login: &Login, usage: Usage) -> Result<PoolUse, StoreError> {
        self.call()?;
        self.published.lock().unwrap().insert(login.clone(), usage);
        self.pool_use(login.domain())
    }

    fn largest_uses(
        &self,
        login: &Login,
        _: crate::quota::Kind,
        most: usize,
    ) -> Result<Vec<(Login, Usage)>, StoreError> {
        self.call()?;
        let published = self.published.lock().unwrap();
        let of_domain = published.iter().filter(|(other, _)| other.domain() == login.domain());
        Ok(of_domain.map(|(login, usage)| (login.clone(), *usage)).take(most).collect())
    }
}

impl MailStore for Table {
    fn domain(&self, name: &DomainName) -> Result<Option<DomainStanding>, StoreError> {
        self.call()?;
        let own = |enabled| DomainStanding { enabled, kind: DomainKind::Own };
        Ok(self.domains.get(name.as_str()).map(|enabled| own(*enabled)).or(self.others.get(name.as_str()).cloned()))
    }

    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError> {
        self.call()?;
        Ok(self.aliases.get(address).cloned().unwrap_or_default())
    }

    fn doubts(&self) -> u64 {
        self.stand_ins.load(Ordering::Relaxed)
    }

    fn certain_since(&self, doubts: u64) -> Result<(), StoreError> {
        if self.doubts() == doubts { Ok(()) } else { Err(outage()) }
    }
}

/// Mailboxes are this process's own, which may be root's.
fn router<S: MailStore + 'static>(table: &Arc<S>) -> Router {
    router_with(table, "+")
}

fn router_with<S: MailStore + 'static>(table: &Arc<S>, delimiters: &str) -> Router {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mailbox = MailboxDefaults {
        uid: Some(uid),
        gid: Some(gid),
        min_uid: Some(1000),
        root: Some("/".into()),
        allow_root: true,
        ..MailboxDefaults::default()
    };
    let policy = Policy {
        default_domain: Some("x.example".into()),
        separators: String::new(),
        mailbox,
        rules: password::HashRules::default(),
        scheme: NewScheme::Sha256Crypt,
        min_length: 8,
        unknown_services: true,
        alias_domains: false,
        delimiters: Delimiters::parse(delimiters).unwrap(),
        refusal_time: Default::default(),
    };
    Router::new(table.clone(), &policy, CountRules::default())
}

fn over(table: Table) -> Router {
    router(&Arc::new(table))
}

fn send(router: &Router, address: &str, size: u64) -> Answer<()> {
    router.recipient(address.as_bytes(), size, Instant::now() + Duration::from_secs(60))
}

fn login_of(answer: Answer<Destination>) -> String {
    match answer {
        Ok(to) => to.account.login.to_string(),
        other => panic!("{other:?}"),
    }
}

fn targets<const N: usize>(targets: [&str; N]) -> Answer<Vec<String>> {
    Ok(targets.map(str::to_owned).to_vec())
}

#[test]
fn an_account_takes_mail_and_who_is_unknown_does_not() {
    let router = over(table());
    assert_eq!(send(&router, "anna@x.example", 0), YES);
    assert_eq!(send(&router, "nobody@x.example", 0), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(send(&router, "anna@y.example", 0), Err(Refusal::No(No::UnknownDomain)));
    assert_eq!(login_of(router.account(b"anna@x.example")), "anna@x.example");
    assert_eq!(router.account(b"nobody@x.example"), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(router.account(b"anna@y.example"), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(router.alias(b"anna@x.example"), Err(Refusal::No(No::UnknownAlias)));
    assert_eq!(router.alias(b"anna@y.example"), Err(Refusal::No(No::UnknownAlias)));
}

#[test]
fn a_disabled_account_takes_no_mail() {
    let router = over(table());
    assert_eq!(send(&router, "gone@x.example", 0), Err(Refusal::No(No::AccountDisabled)));
    assert_eq!(router.account(b"gone@x.example"), Err(Refusal::No(No::AccountDisabled)));
}

#[test]
fn mail_for_a_disabled_domain_is_kept_here_but_not_taken() {
    let router = over(table().alias("all@off.example", &["anna@x.example"]).alias("@off.example", &["anna@x.example"]));
    assert_eq!(router.domain(b"off.example"), KEPT);
    assert_eq!(router.account(b"carla@off.example"), Err(Refusal::No(No::DomainDisabled)));
    for address in ["carla@off.example", "all@off.example", "whoever@off.example"] {
        assert_eq!(send(&router, address, 0), Err(Refusal::No(No::DomainDisabled)), "{address}");
        assert_eq!(router.alias(address.as_bytes()), Err(Refusal::No(No::UnknownAlias)), "{address}");
    }
    assert_eq!(send(&over(table()), "whoever@off.example", 0), Err(Refusal::No(No::UnknownLogin)));
}

#[test]
fn a_domain_is_known_in_any_case_and_what_is_no_name_is_not() {
    let router = over(table());
    assert_eq!(router.domain(b"x.example"), KEPT);
    assert_eq!(router.domain(b"X.Example"), KEPT);
    for name in [b"y.example".as_slice(), b"", b"x.example.", b"@x.example", b"x .example", b"x\xff.example", b"x\n"] {
        assert_eq!(router.domain(name), Err(Refusal::No(No::UnknownDomain)), "{}", name.escape_ascii());
    }
}

#[test]
fn an_alias_leads_to_its_targets_as_they_are_written() {
    let router = over(table().alias("info@x.example", &["Anna@X.example"]));
    assert_eq!(router.alias(b"info@x.example"), targets(["Anna@X.example"]));
    assert_eq!(send(&router, "info@x.example", 0), YES);
    assert_eq!(router.account(b"info@x.example"), Err(Refusal::No(No::UnknownLogin)));
    let in_a_domain_without_a_row = over(table().alias("info@y.example", &["anna@x.example"]));
    assert_eq!(send(&in_a_domain_without_a_row, "info@y.example", 0), Err(Refusal::No(No::UnknownDomain)));
    assert_eq!(in_a_domain_without_a_row.alias(b"info@y.example"), Err(Refusal::No(No::UnknownAlias)));
}

#[test]
fn of_several_targets_one_that_takes_the_message_is_enough() {
    let router = over(
        table()
            .alias("all@x.example", &["nobody@x.example", "gone@x.example", "anna@x.example"])
            .alias("none@x.example", &["gone@x.example", "nobody@x.example"])
            .alias("lists@x.example", &["none@x.example", "all@x.example"]),
    );
    assert_eq!(router.alias(b"all@x.example"), targets(["nobody@x.example", "gone@x.example", "anna@x.example"]));
    assert_eq!(send(&router, "all@x.example", 0), YES);
    assert_eq!(send(&router, "lists@x.example", 0), YES);
    assert_eq!(send(&router, "none@x.example", 0), Err(Refusal::No(No::AccountDisabled)));
}

#[test]
fn who_is_elsewhere_takes_the_message_there() {
    let router = over(table().alias("away@x.example", &["nobody@x.example", "anna@else.example"]));
    assert_eq!(send(&router, "away@x.example", 0), YES);
    assert_eq!(
        send(&router, "anna@else.example", 0),
        Err(Refusal::No(No::UnknownDomain)),
        "but nobody is sent there by us"
    );
}

#[test]
fn a_loop_of_aliases_ends() {
    let router = over(table().alias("a@x.example", &["b@x.example"]).alias("b@x.example", &["a@x.example"]));
    assert_eq!(send(&router, "a@x.example", 0), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(router.alias(b"a@x.example"), targets(["b@x.example"]));
}

#[test]
fn an_alias_that_names_itself_keeps_the_mailbox() {
    let router = over(
        table()
            .alias("anna@x.example", &["ANNA@x.example", "copy@else.example"])
            .alias("bruno@x.example", &["c@x.example"])
            .alias("c@x.example", &["bruno@x.example"]),
    );
    assert_eq!(router.alias(b"anna@x.example"), targets(["ANNA@x.example", "copy@else.example"]));
    assert_eq!(login_of(router.account(b"anna@x.example")), "anna@x.example");
    assert_eq!(send(&router, "anna@x.example", 0), YES);
    assert_eq!(send(&router, "bruno@x.example", 0), YES);
    assert_eq!(
        send(&router, "c@x.example", 0),
        Err(Refusal::No(No::UnknownLogin)),
        "the way round ends at c, who has none"
    );
}

#[test]
fn who_is_reached_by_two_ways_is_an_alias_on_both() {
    let folder = tempfile::tempdir().unwrap();
    let full = AccountRow { quota_bytes: Some(10), ..resident(&folder, "full") };
    // While bruno is away, somebody else gets his mail, and his own mailbox nothing.
    let router = over(
        table()
            .of([full, resident(&folder, "bruno")])
            .alias("bruno@x.example", &["full@x.example"])
            .alias("one@x.example", &["bruno@x.example"])
            .alias("two@x.example", &["bruno@x.example"])
            .alias("all@x.example", &["one@x.example", "two@x.example", "bruno@x.example"]),
    );
    assert!(matches!(send(&router, "all@x.example", 11), Err(Refusal::No(No::OverQuota(_)))));
    assert_eq!(send(&router, "all@x.example", 10), YES);
}

#[test]
fn a_catch_all_takes_what_is_neither_alias_nor_account() {
    let router = over(
        table().alias("@x.example", &["bruno@x.example", "box@else.example"]).alias("info@x.example", &["a@x.example"]),
    );
    assert_eq!(router.alias(b"whoever@x.example"), targets(["bruno@x.example", "box@else.example"]));
    assert_eq!(send(&router, "whoever@x.example", 0), YES);
    assert_eq!(router.alias(b"info@x.example"), targets(["a@x.example"]));
    for taken in [b"anna@x.example".as_slice(), b"gone@x.example", b"anna@y.example"] {
        assert_eq!(router.alias(taken), Err(Refusal::No(No::UnknownAlias)), "{}", taken.escape_ascii());
    }
    assert_eq!(send(&router, "gone@x.example", 0), Err(Refusal::No(No::AccountDisabled)));
    assert_eq!(router.alias(b"@x.example"), Err(Refusal::No(No::UnusableLogin(LoginError::Incomplete))));
}

#[test]
fn a_catch_all_that_leads_to_itself_ends() {
    let router = over(table().alias("@x.example", &["box@x.example"]));
    assert_eq!(send(&router, "whoever@x.example", 0), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(send(&router, "box@x.example", 0), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(send(&router, "anna@x.example", 0), YES);
}

#[test]
fn an_address_is_found_in_any_case_and_without_its_domain() {
    let router = over(table().alias("info@x.example", &["anna@x.example"]));
    for address in ["Anna@X.Example", "anna", "INFO@x.example", "Info"] {
        assert_eq!(send(&router, address, 0), YES, "{address}");
    }
    assert_eq!(login_of(router.account(b"ANNA@X.EXAMPLE")), "anna@x.example");
    assert_eq!(router.alias(b"INFO"), targets(["anna@x.example"]));
}

#[test]
fn bytes_that_are_no_address_are_nobodys() {
    let asked = Arc::new(table().alias("@x.example", &["anna@x.example"]));
    let router = router(&asked);
    let deadline = Instant::now() + Duration::from_secs(60);
    for (address, why) in [
        (b"".as_slice(), LoginError::Empty),
        (b"\xff@x.example", LoginError::NotUtf8),
        (b"an na@x.example", LoginError::Unprintable),
        (b"anna@x.example\0", LoginError::Unprintable),
        (b"@x.example", LoginError::Incomplete),
        (b"anna@", LoginError::Incomplete),
        (&[b'x'; 255], LoginError::TooLong),
    ] {
        let why = No::UnusableLogin(why);
        assert_eq!(router.account(address), Err(Refusal::No(why.clone())));
        assert_eq!(router.alias(address), Err(Refusal::No(why.clone())));
        assert_eq!(router.recipient(address, 0, deadline), Err(Refusal::No(why)));
    }
    assert_eq!(asked.calls.load(Ordering::Relaxed), 0, "and the database is not asked");
}

#[test]
fn an_outage_at_any_step_is_not_now_and_never_no() {
    let folder = tempfile::tempdir().unwrap();
    let mail = || {
        table()
            .of([resident(&folder, "anna"), resident(&folder, "bruno")])
            .under("100S", &[("bruno@x.example", 100, 1)])
            .alias("all@x.example", &["nobody@x.example", "anna@x.example"])
            .alias("@x.example", &["bruno@x.example"])
    };
    let questions: [fn(&Router) -> Answer<()>; 8] = [
        |router| router.domain(b"x.example").map(drop),
        |router| router.domain(b"y.example").map(drop),
        |router| router.account(b"anna@x.example").map(drop),
        |router| router.account(b"nobody@x.example").map(drop),
        |router| router.alias(b"all@x.example").map(drop),
        |router| router.alias(b"anna@x.example").map(drop),
        |router| send(router, "all@x.example", 10),
        |router| send(router, "anna@y.example", 10),
    ];
    for (number, ask) in questions.into_iter().enumerate() {
        for answered in 0.. {
            let table = Arc::new(Table { answered, ..mail() });
            let answer = ask(&router(&table));
            if table.calls.load(Ordering::Relaxed) <= answered {
                assert!(answered > 0 && !matches!(answer, Err(Refusal::NotNow(_))), "question {number}: {answer:?}");
                break;
            }
            assert!(matches!(answer, Err(Refusal::NotNow(_))), "question {number} after {answered} calls: {answer:?}");
        }
    }
}

#[test]
fn a_row_that_must_not_be_trusted_is_not_now() {
    let lost = AccountRow { home: Some("mail".into()), ..row("lost@x.example") };
    let router = over(table().of([lost]).alias("all@x.example", &["lost@x.example"]));
    let unusable = |answer: Answer<()>| matches!(answer, Err(Refusal::NotNow(NotNow::Store(StoreError::Unusable(_)))));
    assert!(unusable(router.account(b"lost@x.example").map(drop)));
    assert!(unusable(send(&router, "lost@x.example", 0)));
    assert!(unusable(send(&router, "all@x.example", 0)));
}

#[test]
fn a_row_that_can_never_be_used_keeps_no_mail_from_the_others_of_an_alias() {
    let lost = AccountRow { home: Some("mail".into()), ..row("lost@x.example") };
    let rows = [lost, row("anna@x.example")];
    let both = &["lost@x.example", "anna@x.example"];
    let none = &["lost@x.example", "nobody@x.example"];
    let router = over(table().of(rows).alias("all@x.example", both).alias("none@x.example", none));
    assert_eq!(send(&router, "all@x.example", 0), YES);
    let answer = send(&router, "none@x.example", 0);
    assert!(matches!(answer, Err(Refusal::NotNow(NotNow::Store(StoreError::Unusable(_))))), "{answer:?}");
}

#[test]
fn an_alias_is_followed_to_so_many_addresses_and_no_further() {
    let chain = |links: usize| {
        let link = |table: Table, n: usize| {
            let next = if n + 1 == links { "anna@x.example".to_owned() } else { format!("a{}@x.example", n + 1) };
            table.alias(&format!("a{n}@x.example"), &[&next])
        };
        over((0..links).fold(table(), link))
    };
    assert_eq!(send(&chain(MOST_ADDRESSES - 1), "a0@x.example", 0), YES);
    assert_eq!(send(&chain(MOST_ADDRESSES), "a0@x.example", 0), Err(Refusal::NotNow(NotNow::Late)));
    let nobodies: Vec<String> = (0..MOST_ADDRESSES).map(|n| format!("n{n}@x.example")).collect();
    let list: Vec<&str> = nobodies.iter().map(String::as_str).collect();
    let router = over(
        table().alias("list@x.example", &list).alias("first@x.example", &[&["anna@x.example"], &list[..]].concat()),
    );
    assert_eq!(send(&router, "list@x.example", 0), Err(Refusal::NotNow(NotNow::Late)));
    assert_eq!(send(&router, "first@x.example", 0), YES, "one is found in time");
}

#[test]
fn past_the_deadline_no_further_step_is_taken() {
    let slow = Duration::from_millis(20);
    let nobodies: Vec<String> = (0..MOST_ADDRESSES).map(|n| format!("n{n}@x.example")).collect();
    let list: Vec<&str> = nobodies.iter().map(String::as_str).collect();
    let table = Arc::new(Table { takes: slow, ..table().alias("list@x.example", &list) });
    let router = router(&table);
    let begin = Instant::now();
    let answer = router.recipient(b"list@x.example", 0, begin + slow * 10);
    assert_eq!(answer, Err(Refusal::NotNow(NotNow::Late)));
    // Each address is some calls, of which hundreds would follow.
    assert!((5..30).contains(&table.calls.swap(0, Ordering::Relaxed)), "{:?}", begin.elapsed());
    assert_eq!(router.recipient(b"anna@x.example", 0, begin), Err(Refusal::NotNow(NotNow::Late)));
    assert_eq!(table.calls.load(Ordering::Relaxed), 0);
}

/// Somebody who lives in `folder`; his mailbox is made when he gets mail.
fn resident(folder: &TempDir, name: &str) -> AccountRow {
    let home = folder.path().join(name).to_str().unwrap().to_owned();
    AccountRow { home: Some(home), ..row(&format!("{name}@x.example")) }
}

fn put(folder: &TempDir, name: &str, sizes: &[usize]) {
    let maildir = folder.path().join(name).join("Maildir");
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(maildir.join(part)).unwrap();
    }
    for (number, size) in sizes.iter().enumerate() {
        fs::write(maildir.join(format!("new/{number}.a")), vec![b'x'; *size]).unwrap();
    }
}

fn full(text: &str) -> Answer<()> {
    Err(Refusal::No(No::OverQuota(text.into())))
}

#[test]
fn a_mailbox_may_be_filled_to_its_quota_and_not_beyond() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "anna", &[400, 500]);
    put(&folder, "bruno", &[10, 10]);
    let router = over(table().of([
        AccountRow { quota_bytes: Some(1000), quota_messages: Some(3), ..resident(&folder, "anna") },
        AccountRow { quota_messages: Some(2), ..resident(&folder, "bruno") },
    ]));
    assert_eq!(send(&router, "anna@x.example", 100), YES);
    assert_eq!(
        send(&router, "anna@x.example", 101),
        full("over quota: 900 of 1000 bytes used, and this message would be 1 over it")
    );
    assert!(matches!(send(&router, "anna@x.example", u64::MAX), Err(Refusal::No(No::OverQuota(_)))));
    assert_eq!(
        send(&router, "bruno@x.example", 0),
        full("over quota: 2 of 2 messages used, and this message would be 1 over it")
    );
}

#[test]
fn a_mailbox_that_is_not_there_yet_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let router = over(table().of([AccountRow { quota_bytes: Some(1000), ..resident(&folder, "anna") }]));
    assert_eq!(send(&router, "anna@x.example", 1000), YES);
    assert_eq!(
        send(&router, "anna@x.example", 1001),
        full("over quota: 0 of 1000 bytes used, and this message would be 1 over it")
    );
    assert!(!folder.path().join("anna").exists(), "asking makes no mailbox");
}

#[test]
fn a_mailbox_that_cannot_be_looked_into_is_not_now() {
    let folder = tempfile::tempdir().unwrap();
    let limited = |name| AccountRow { quota_bytes: Some(1000), ..resident(&folder, name) };
    fs::create_dir_all(folder.path().join("anna/Maildir")).unwrap();
    fs::create_dir(folder.path().join("bruno")).unwrap();
    fs::write(folder.path().join("bruno/Maildir"), "a file").unwrap();
    put(&folder, "carla", &[]);
    let stranger = AccountRow { uid: Some(40_001), ..limited("carla") };
    let free = AccountRow { quota_bytes: Some(0), login: parse("free@x.example"), ..limited("bruno") };
    let router = over(
        table().of([limited("anna"), limited("bruno"), stranger, free]).alias("all@x.example", &["anna@x.example"]),
    );
    let unknown = |address| match send(&router, address, 10) {
        Err(Refusal::NotNow(NotNow::Quota(why))) => why,
        other => panic!("{address}: {other:?}"),
    };
    assert!(unknown("anna@x.example").contains("is no Maildir"));
    assert!(unknown("bruno@x.example").contains("is no Maildir"));
    assert!(unknown("all@x.example").contains("is no Maildir"));
    if rustix::process::geteuid().is_root() {
        assert!(unknown("carla@x.example").contains("belongs to user 0"));
    }
    assert_eq!(send(&router, "free@x.example", 10), YES, "without a quota nobody looks");
}

#[test]
fn a_domains_pool_may_be_filled_and_not_beyond() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "anna", &[]);
    let mail = table()
        .of(["anna", "bruno"].map(|name| resident(&folder, name)))
        .under("1000S", &[("carla@x.example", 900, 1), ("dora@y.example", 5000, 1)]);
    let router = over(mail);
    for address in ["anna@x.example", "bruno@x.example"] {
        assert_eq!(send(&router, address, 100), YES, "{address}");
        assert_eq!(
            send(&router, address, 101),
            full("over the quota of the domain x.example: 900 of 1000 bytes used, and this message would be 1 over it"),
            "{address}"
        );
    }
}

#[test]
fn a_mailbox_is_counted_before_its_domain_refuses_mail() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "anna", &[10]);
    let table = Arc::new(table().of([resident(&folder, "anna")]).under("1000S", &[("anna@x.example", 1000, 5)]));
    assert_eq!(send(&router(&table), "anna@x.example", 990), YES);
    assert_eq!(table.published.lock().unwrap()[&parse("anna@x.example")], Usage { bytes: 10, messages: 1 });
}

#[test]
fn the_other_mailboxes_are_counted_before_the_domain_refuses_mail() {
    let folder = tempfile::tempdir().unwrap();
    for (name, sizes) in [("anna", &[10][..]), ("bruno", &[20]), ("carla", &[])] {
        put(&folder, name, sizes);
    }
    let accounts = ["anna", "bruno", "carla", "dora"].map(|name| resident(&folder, name));
    let published = [("anna@x.example", 400, 1), ("bruno@x.example", 400, 1), ("dora@x.example", 200, 1)];
    let table = Arc::new(table().of(accounts).under("1000S", &published));
    let held = |name: &str| table.published.lock().unwrap()[&parse(name)].bytes;
    assert_eq!(send(&router(&table), "carla@x.example", 300), YES);
    assert_eq!((held("anna@x.example"), held("bruno@x.example")), (10, 400), "no more are counted than it takes");
    assert_eq!(send(&router(&table), "carla@x.example", 700), YES);
    assert_eq!(
        send(&router(&table), "carla@x.example", 800),
        full("over the quota of the domain x.example: 230 of 1000 bytes used, and this message would be 30 over it"),
        "a mailbox that is not there may be on a disk that is missing"
    );
    assert_eq!(held("dora@x.example"), 200);
}

#[test]
fn a_quota_of_its_own_holds_beside_the_domains() {
    let folder = tempfile::tempdir().unwrap();
    let small = AccountRow { quota_bytes: Some(50), ..resident(&folder, "anna") };
    let router = over(table().of([small, resident(&folder, "bruno")]).under("1000S,10C", &[]));
    assert_eq!(
        send(&router, "anna@x.example", 51),
        full("over quota: 0 of 50 bytes used, and this message would be 1 over it")
    );
    let quota = |address: &str| match router.account(address.as_bytes()) {
        Ok(to) => to.account.quota.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(quota("anna@x.example"), "50S");
    assert_eq!(quota("bruno@x.example"), "1000S,10C", "who has none is kept under the domain's");
}

#[test]
fn of_several_targets_that_are_full_one_with_room_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let limited = |name, bytes| AccountRow { quota_bytes: Some(bytes), ..resident(&folder, name) };
    fs::create_dir_all(folder.path().join("broken/Maildir")).unwrap();
    let router = over(
        table()
            .of([limited("small", 10), limited("large", 100), limited("broken", 100)])
            .alias("all@x.example", &["small@x.example", "large@x.example"])
            .alias("broken-first@x.example", &["broken@x.example", "large@x.example"])
            .alias("broken-last@x.example", &["small@x.example", "broken@x.example"])
            .alias("nobody-first@x.example", &["nobody@x.example", "small@x.example", "nobody@x.example"]),
    );
    assert_eq!(send(&router, "all@x.example", 100), YES);
    assert!(matches!(send(&router, "all@x.example", 101), Err(Refusal::No(No::OverQuota(_)))));
    assert_eq!(send(&router, "broken-first@x.example", 100), YES);
    assert!(matches!(send(&router, "broken-first@x.example", 101), Err(Refusal::NotNow(NotNow::Quota(_)))));
    assert!(matches!(send(&router, "broken-last@x.example", 11), Err(Refusal::NotNow(NotNow::Quota(_)))));
    assert!(matches!(send(&router, "nobody-first@x.example", 11), Err(Refusal::No(No::OverQuota(_)))));
}

#[test]
fn a_maildir_is_where_the_account_says() {
    let account = |maildir: Option<&str>| Account {
        login: parse("anna@x.example"),
        uid: 5000,
        gid: 5000,
        home: "/home/anna".into(),
        maildir: maildir.map(str::to_owned),
        quota: Limits::NONE,
        name: String::new(),
        options: String::new(),
        password: Password::default(),
    };
    assert_eq!(room::maildir(&account(None)), Path::new("/home/anna/Maildir"));
    assert_eq!(room::maildir(&account(Some("Mail/in"))), Path::new("/home/anna/Mail/in"));
    assert_eq!(room::maildir(&account(Some("/srv/anna"))), Path::new("/srv/anna"));
}

#[test]
fn mail_does_not_bounce_on_the_word_of_a_copy() {
    let copied = || Table { copied: true, ..table().alias("all@x.example", &["anna@x.example"]) };
    let router = over(copied());
    let waits = || NotNow::Store(outage());
    for known in ["anna@x.example", "all@x.example"] {
        assert_eq!(send(&router, known, 0), YES, "{known}");
    }
    assert_eq!(router.domain(b"x.example"), KEPT);
    assert_eq!(router.alias(b"all@x.example"), targets(["anna@x.example"]));
    assert_eq!(router.alias(b"anna@x.example"), Err(Refusal::No(No::UnknownAlias)), "it goes on to the account");
    for refused in ["nobody@x.example", "gone@x.example", "carla@off.example", "anna@y.example"] {
        assert_eq!(send(&router, refused, 0), Err(Refusal::NotNow(waits())), "{refused}");
        assert_eq!(router.account(refused.as_bytes()), Err(Refusal::NotNow(waits())), "{refused}");
    }
    assert_eq!(router.alias(b"nobody@x.example"), Err(Refusal::NotNow(waits())));
    assert_eq!(router.domain(b"y.example"), Err(Refusal::NotNow(waits())));
    assert!(
        matches!(send(&router, "a b@x.example", 0), Err(Refusal::No(No::UnusableLogin(_)))),
        "whatever is in the table"
    );
}

/// A table as it is, and as it was before the last changes, which is what is read first.
struct Aged {
    old: Arc<Table>,
    new: Arc<Table>,
    /// Old is what is kept of the accounts in memory. Otherwise it is a replica.
    kept: bool,
}

impl AccountStore for Aged {
    fn find(&self, _: &Login) -> Result<Option<AccountRow>, StoreError> {
        panic!("nothing to do with the way of a message")
    }

    fn find_newest(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.new.find(login)
    }

    fn look_up(&self, login: &Login, _: Instant) -> Result<Lookup, StoreError> {
        let row = self.old.find(login)?;
        Ok(if self.kept { Lookup::kept(row, Instant::now()) } else { Lookup::new(row).behind(true) })
    }

    fn set_password(&self, _: &Login, _: &Password, _: &Password) -> Result<bool, StoreError> {
        panic!("nothing to do with the way of a message")
    }

    fn enumerate(&self, _: Option<&Cursor>, _: usize) -> Result<Page, StoreError> {
        panic!("nothing to do with the way of a message")
    }
}

impl PoolStore for Aged {
    fn pool_limits(&self, domain: &str) -> Result<Limits, StoreError> {
        self.first().pool_limits(domain)
    }

    fn pool_use(&self, domain: &str) -> Result<PoolUse, StoreError> {
        self.first().pool_use(domain)
    }

    fn publish(&self, login: &Login, usage: Usage) -> Result<PoolUse, StoreError> {
        self.new.publish(login, usage)
    }
}

impl MailStore for Aged {
    fn newest(&self) -> Option<Box<dyn MailStore + '_>> {
        let newest = || Aged { old: Arc::clone(&self.new), new: Arc::clone(&self.new), kept: true };
        (!self.kept).then(|| Box::new(newest()) as _)
    }

    fn domain(&self, name: &DomainName) -> Result<Option<DomainStanding>, StoreError> {
        self.first().domain(name)
    }

    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError> {
        self.first().alias_targets(address)
    }
}

impl Aged {
    /// What is read first of domains and aliases, of which nothing is kept in memory.
    fn first(&self) -> &Table {
        if self.kept { &self.new } else { &self.old }
    }

    fn router(old: Table, new: Table, kept: bool) -> (Arc<Self>, Router) {
        let store = Arc::new(Aged { old: Arc::new(old), new: Arc::new(new), kept });
        let router = router(&store);
        (store, router)
    }
}

#[test]
fn an_address_that_was_added_since_is_not_refused() {
    for kept in [false, true] {
        let gone = AccountRow { enabled: false, ..row("gone@x.example") };
        let old = table().of([gone, AccountRow { uid: Some(0), ..row("odd@x.example") }]);
        let new = table().of(["anna", "gone", "odd"].map(|name| row(&format!("{name}@x.example"))));
        let new = new.alias("all@x.example", &["one@x.example"]).alias("one@x.example", &["anna@x.example"]);
        let (_, router) = Aged::router(old, new, kept);
        for address in ["anna@x.example", "gone@x.example", "all@x.example"] {
            assert_eq!(send(&router, address, 0), YES, "{address}, kept: {kept}");
        }
        for address in ["anna@x.example", "gone@x.example", "odd@x.example"] {
            assert!(router.account(address.as_bytes()).is_ok(), "{address}, kept: {kept}");
        }
        assert_eq!(router.alias(b"all@x.example"), targets(["one@x.example"]));
        assert_eq!(send(&router, "nobody@x.example", 0), Err(Refusal::No(No::UnknownLogin)));
    }
}

#[test]
fn a_quota_that_was_raised_since_has_room() {
    let folder = tempfile::tempdir().unwrap();
    let limited = |bytes| AccountRow { quota_bytes: Some(bytes), ..resident(&folder, "anna") };
    for kept in [false, true] {
        let (_, router) = Aged::router(table().of([limited(1)]), table().of([limited(100)]), kept);
        assert_eq!(send(&router, "anna@x.example", 100), YES);
        assert!(matches!(send(&router, "anna@x.example", 101), Err(Refusal::No(No::OverQuota(_)))));
    }
    let pool = |quota| table().of([resident(&folder, "anna")]).under(quota, &[]);
    let (_, router) = Aged::router(pool("1S"), pool("100S"), false);
    assert_eq!(send(&router, "anna@x.example", 100), YES);
    assert!(matches!(send(&router, "anna@x.example", 101), Err(Refusal::No(No::OverQuota(_)))));
}

#[test]
fn what_cannot_be_asked_again_is_refused_by_nobody() {
    for kept in [false, true] {
        // Where nothing but the accounts is kept, domains and aliases are read before.
        let new = Table { answered: if kept { 3 } else { 0 }, ..table() };
        let (_, router) = Aged::router(table(), new, kept);
        assert_eq!(send(&router, "nobody@x.example", 0), Err(Refusal::NotNow(NotNow::Store(outage()))), "kept: {kept}");
    }
}

#[test]
fn a_catch_all_does_not_take_the_mail_of_an_account_that_was_added_since() {
    let caught = || table().alias("@x.example", &["bruno@x.example"]);
    for kept in [false, true] {
        let (_, router) = Aged::router(caught().of([]), caught(), kept);
        assert_eq!(router.alias(b"anna@x.example"), Err(Refusal::No(No::UnknownAlias)));
        assert_eq!(router.alias(b"nobody@x.example"), targets(["bruno@x.example"]));
    }
    let away = Table { answered: 0, ..table() };
    let (_, router) = Aged::router(caught().of([]), away, false);
    assert_eq!(router.alias(b"anna@x.example"), targets(["bruno@x.example"]), "mail that has a place goes there");
}

#[test]
fn yes_asks_nothing_twice() {
    for kept in [false, true] {
        let (store, router) = Aged::router(table(), table(), kept);
        assert_eq!(send(&router, "anna@x.example", 0), YES);
        assert_eq!(router.domain(b"x.example"), KEPT);
        let calls = [&store.old, &store.new].map(|table| table.calls.load(Ordering::Relaxed));
        assert_eq!(calls.iter().sum::<usize>(), 4, "an alias, an account, its domain's quota; a domain");
    }
}

/// The account that gets mail for `address`, and the detail that may name a folder.
fn destination(router: &Router, address: &str) -> (String, String) {
    match router.account(address.as_bytes()) {
        Ok(Destination { account, detail }) => (account.login.to_string(), detail),
        other => panic!("{address}: {other:?}"),
    }
}

fn to(login: &str, detail: &str) -> (String, String) {
    (login.to_owned(), detail.to_owned())
}

#[test]
fn mail_for_an_address_with_a_detail_comes_to_the_one_without_it() {
    let router = over(table());
    for address in ["anna+news@x.example", "Anna+NEWS@X.example", "anna+news"] {
        assert_eq!(send(&router, address, 0), YES, "{address}");
        assert_eq!(destination(&router, address), to("anna@x.example", "news"), "{address}");
        assert_eq!(router.alias(address.as_bytes()), Err(Refusal::No(No::UnknownAlias)), "{address}");
    }
    assert_eq!(destination(&router, "anna@x.example"), to("anna@x.example", ""));
    assert_eq!(destination(&router, "anna+@x.example"), to("anna@x.example", ""));
    assert_eq!(destination(&router, "anna+a+b@x.example"), to("anna@x.example", "a+b"));
    for address in ["+news@x.example", "nobody+news@x.example", "anna-news@x.example"] {
        assert_eq!(send(&router, address, 0), Err(Refusal::No(No::UnknownLogin)), "{address}");
        assert_eq!(router.account(address.as_bytes()), Err(Refusal::No(No::UnknownLogin)), "{address}");
    }
    assert_eq!(send(&router, "gone+news@x.example", 0), Err(Refusal::No(No::AccountDisabled)));
}

#[test]
fn a_detail_that_could_lead_out_of_a_mailbox_is_not_handed_on() {
    let router = over(table());
    for detail in ["../../etc", ".", "a.b", "a/b", "\u{fc}", "$home"] {
        assert_eq!(destination(&router, &format!("anna+{detail}@x.example")), to("anna@x.example", ""), "{detail}");
    }
}

#[test]
fn the_delimiters_are_those_of_the_configuration() {
    let table = Arc::new(table());
    let (both, none) = (router_with(&table, "-+"), router_with(&table, ""));
    assert_eq!(destination(&both, "anna-a+b@x.example"), to("anna@x.example", "a+b"));
    assert_eq!(destination(&both, "anna+a-b@x.example"), to("anna@x.example", "a-b"));
    assert_eq!(send(&none, "anna+news@x.example", 0), Err(Refusal::No(No::UnknownLogin)));
}

#[test]
fn an_account_or_alias_of_the_whole_address_goes_before_the_one_without_its_detail() {
    let gone = AccountRow { enabled: false, ..row("anna+gone@x.example") };
    let router = over(
        table()
            .of([row("anna@x.example"), row("anna+own@x.example"), gone])
            .alias("anna+list@x.example", &["bruno@else.example"])
            .alias("info@x.example", &["anna@x.example"])
            .alias("@x.example", &["all@else.example"]),
    );
    assert_eq!(destination(&router, "anna+own@x.example"), to("anna+own@x.example", ""));
    assert_eq!(router.alias(b"anna+own@x.example"), Err(Refusal::No(No::UnknownAlias)));
    assert_eq!(router.alias(b"anna+list@x.example"), targets(["bruno@else.example"]));
    assert_eq!(router.account(b"anna+gone@x.example"), Err(Refusal::No(No::AccountDisabled)));
    assert_eq!(router.alias(b"anna+news@x.example"), Err(Refusal::No(No::UnknownAlias)), "the catch-all comes last");
    assert_eq!(router.alias(b"nobody+news@x.example"), targets(["all@else.example"]));
    assert_eq!(router.alias(b"+news@x.example"), targets(["all@else.example"]));
}

#[test]
fn an_alias_hands_a_detail_on_to_those_who_are_here() {
    let router = over(
        table()
            .other("y.example", true, alias_of("x.example"))
            .other("backup.example", true, DomainKind::Backup)
            .alias("info@x.example", &["Anna@X.example", "a@else.example", "b@y.example", "c@backup.example"])
            .alias("own@x.example", &["anna+work@x.example"]),
    );
    let expected = ["Anna+news@X.example", "a@else.example", "b+news@y.example", "c@backup.example"];
    assert_eq!(router.alias(b"info+news@x.example"), targets(expected));
    let plain = ["Anna@X.example", "a@else.example", "b@y.example", "c@backup.example"];
    assert_eq!(router.alias(b"info+@x.example"), targets(plain));
    assert_eq!(router.alias(b"own+news@x.example"), targets(["anna+work@x.example"]));
    assert_eq!(send(&router, "own+news@x.example", 0), YES);
    for detail in ["a,|x", "a:b", "\"", "<a>", "a@b"] {
        let address = format!("info+{detail}@x.example");
        assert_eq!(router.alias(address.as_bytes()), targets(plain), "{detail} would be more than an address");
    }
}

#[test]
fn an_alias_that_names_itself_keeps_the_mailbox_for_a_detail_too() {
    let router = over(table().alias("anna@x.example", &["anna@x.example", "copy@else.example"]));
    assert_eq!(router.alias(b"anna+news@x.example"), targets(["anna+news@x.example", "copy@else.example"]));
    assert_eq!(destination(&router, "anna+news@x.example"), to("anna@x.example", "news"));
    assert_eq!(send(&router, "anna+news@x.example", 0), YES);
}

#[test]
fn a_broken_alias_without_the_detail_is_no_matter_of_the_whole_address() {
    let router = over(table().of([row("anna+own@x.example")]).alias("anna@x.example", &["broken"]));
    assert_eq!(destination(&router, "anna+own@x.example"), to("anna+own@x.example", ""));
}

#[test]
fn each_address_of_an_alias_domain_is_the_same_of_the_other() {
    let router =
        over(table().of_both().alias("info@x.example", &["a@x.example"]).alias("@x.example", &["b@x.example"]));
    assert_eq!(router.domain(b"y.example"), KEPT);
    assert_eq!(send(&router, "anna@y.example", 0), YES);
    assert_eq!(destination(&router, "anna+news@y.example"), to("anna@x.example", "news"));
    assert_eq!(router.alias(b"info@y.example"), targets(["a@x.example"]));
    assert_eq!(router.alias(b"info+news@y.example"), targets(["a+news@x.example"]));
    assert_eq!(router.alias(b"whoever@y.example"), targets(["b@x.example"]));
    assert_eq!(router.account(b"gone@y.example"), Err(Refusal::No(No::AccountDisabled)));
    let router = over(table().of_both());
    assert_eq!(send(&router, "nobody@y.example", 0), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(send(&over(table().of_both().alias("away@x.example", &["anna@y.example"])), "away@x.example", 0), YES);
}

#[test]
fn an_alias_domain_takes_mail_while_it_and_its_domain_are_enabled() {
    let off = over(table().other("y.example", false, alias_of("x.example")));
    assert_eq!(off.domain(b"y.example"), KEPT, "nobody else should be sent it");
    assert_eq!(send(&off, "anna@y.example", 0), Err(Refusal::No(No::DomainDisabled)));
    assert_eq!(off.account(b"anna@y.example"), Err(Refusal::No(No::DomainDisabled)));
    let of_disabled = over(table().other("y.example", true, alias_of("off.example")));
    assert_eq!(send(&of_disabled, "carla@y.example", 0), Err(Refusal::No(No::DomainDisabled)));
}

#[test]
fn alias_domains_that_lead_round_or_nowhere_end() {
    let round = table().other("a.example", true, alias_of("b.example")).other("b.example", true, alias_of("a.example"));
    assert_eq!(send(&over(round), "anna@a.example", 0), Err(Refusal::No(No::UnknownLogin)));
    let chain = over(table().of_both().other("z.example", true, alias_of("y.example")));
    assert_eq!(send(&chain, "anna@z.example", 0), Err(Refusal::No(No::UnknownLogin)), "a chain leads to nobody");
    let itself = over(table().of_both().alias("anna@x.example", &["anna@y.example"]));
    assert_eq!(send(&itself, "anna@x.example", 0), YES, "the mailbox of the same name");
}

#[test]
fn mail_for_a_backup_domain_is_taken_for_anybody_and_sent_on() {
    let router = over(table().other("backup.example", true, DomainKind::Backup));
    assert_eq!(router.domain(b"backup.example"), Ok(DomainMail::SentOn));
    assert_eq!(send(&router, "whoever@backup.example", u64::MAX), YES);
    assert_eq!(router.account(b"whoever@backup.example"), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(router.alias(b"whoever@backup.example"), Err(Refusal::No(No::UnknownAlias)));
    let off = over(table().other("backup.example", false, DomainKind::Backup));
    assert_eq!(off.domain(b"backup.example"), KEPT, "nothing is sent on");
    assert_eq!(send(&off, "whoever@backup.example", 0), Err(Refusal::No(No::DomainDisabled)));
}

#[test]
fn an_account_whose_mail_is_switched_off_takes_none_and_nobody_else_gets_it() {
    let silent = AccountRow { receives: false, ..row("silent@x.example") };
    let router = over(table().of([silent, row("anna@x.example")]).alias("@x.example", &["anna@x.example"]));
    for address in ["silent@x.example", "silent+news@x.example"] {
        assert_eq!(send(&router, address, 0), Err(Refusal::No(No::NoMail)), "{address}");
        assert_eq!(router.account(address.as_bytes()), Err(Refusal::No(No::NoMail)), "{address}");
        assert_eq!(router.alias(address.as_bytes()), Err(Refusal::No(No::UnknownAlias)), "{address}");
    }
}

#[test]
fn a_detail_costs_no_more_than_one_look_up_more() {
    let calls = |address: &str| {
        let table = Arc::new(table());
        assert_eq!(send(&router(&table), address, 0), YES);
        table.calls.load(Ordering::Relaxed)
    };
    // The fake asks for two aliases one by one, which a database does at once.
    assert_eq!(calls("anna+news@x.example") - 1, calls("anna@x.example") + 1);
}

#[test]
fn an_account_of_the_whole_address_that_was_added_since_gets_its_mail() {
    for kept in [false, true] {
        let new = table().of([row("anna@x.example"), row("anna+own@x.example")]);
        let (_, router) = Aged::router(table(), new, kept);
        assert_eq!(destination(&router, "anna+own@x.example"), to("anna+own@x.example", ""), "kept: {kept}");
        assert_eq!(destination(&router, "anna+news@x.example"), to("anna@x.example", "news"), "kept: {kept}");
    }
}

#[test]
fn nothing_of_it_is_refused_on_the_word_of_a_copy() {
    let copy = || Table { copied: true, ..table().of_both() };
    let router = over(copy());
    for known in ["anna+news@x.example", "anna@y.example", "anna+news@y.example"] {
        assert_eq!(send(&router, known, 0), YES, "{known}");
    }
    for unknown in ["nobody+news@x.example", "nobody@y.example", "gone+news@y.example"] {
        assert_eq!(send(&router, unknown, 0), Err(Refusal::NotNow(NotNow::Store(outage()))), "{unknown}");
    }
}
