//! Mailboxes that share the quota of their domain, on each database.

use mailauth_core::config::DatabaseConfig;
use mailauth_core::quota::pools::{MailboxAccess, Member};
use mailauth_core::quota::{CountRules, Denied, Effort, Kind as Limit, Limits, MaildirQuota, PoolError, Usage};
use mailauth_core::store::{Administration, PoolStore, SqlStore, StoreError, open_pooled, open_single};
use mailauth_core::{Login, Secret};
use mailauth_tests::{Accounts, Kind, MailHost, Scratch, on_each_database_and_mysql, run};
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

on_each_database_and_mysql!(
    a_full_domain_refuses_though_the_mailbox_has_room,
    a_mailbox_is_counted_before_its_domain_refuses,
    a_failed_delivery_leaves_nothing_in_the_pool,
    a_full_mailbox_refuses_though_its_domain_has_room,
    concurrent_deliveries_do_not_exceed_the_quota,
    the_command_reads_and_updates_the_pool,
    mail_deleted_by_other_programs_makes_room,
    the_nightly_recount_includes_changes_of_other_programs,
);

mod away {
    use super::an_unreachable_database_is_never_over_quota;

    mailauth_tests::on_each_server_and_mysql!(an_unreachable_database_is_never_over_quota);
}

const ANNA: &str = "anna@x.example";
const BRUNO: &str = "bruno@x.example";

/// A domain with a quota, its two accounts, and their mailboxes.
struct Domain {
    accounts: Accounts,
    mail: Scratch,
}

impl Domain {
    fn with(accounts: Accounts, quota: &str) -> Self {
        let accounts = accounts.with(&format!("login\n{ANNA}\n{BRUNO}\n"));
        accounts.admin(&["domain", "set", "x.example", "--quota", quota], "");
        let mail = Scratch::new("pools");
        for name in [ANNA, BRUNO] {
            for part in ["cur", "new", "tmp"] {
                fs::create_dir_all(mail.join(name).join(part)).unwrap();
            }
        }
        Domain { accounts, mail }
    }

    fn config(&self) -> DatabaseConfig {
        let password = fs::read_to_string(self.accounts.folder().join("password")).unwrap_or_default();
        DatabaseConfig {
            url: self.accounts.url().parse().unwrap(),
            password: Secret::from(password.as_str()),
            deadline: Duration::from_secs(5),
            ..DatabaseConfig::default()
        }
    }

    fn store(&self) -> SqlStore {
        open_single(&self.config()).unwrap()
    }

    /// Returns a mailbox with a quota of its own (empty for none), within the quota of its domain.
    fn mailbox(&self, member: &Member<'_>, login: &Login, own: &str) -> MaildirQuota {
        let limits = member.mailbox_limits(Limits::parse(own).unwrap());
        MaildirQuota::open(&self.mail.join(login.as_str()), limits, CountRules::default()).unwrap()
    }

    /// Delivers a message of 100 bytes.
    fn deliver(&self, store: &dyn PoolStore, name: &str, own: &str) -> Result<(), Denied> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let login = login(name);
        let member = Member::of(store, &login)?.expect("a pool");
        let mailbox = self.mailbox(&member, &login, own);
        let (reservation, _) = member.reserve(&mailbox, 100)?;
        let name = format!("1.{}.test,S=100", NUMBER.fetch_add(1, Ordering::Relaxed));
        fs::write(mailbox.path().join("new").join(name), [b'x'; 100]).unwrap();
        reservation.keep();
        Ok(())
    }

    fn remove_all(&self, name: &str) {
        for entry in fs::read_dir(self.mail.join(name).join("new")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    /// Makes these the mailboxes of the accounts, and gives them to their owner.
    fn settle(&self) {
        let owner = MailHost::OWNER;
        let home = self.mail.path().display().to_string();
        for name in [ANNA, BRUNO] {
            run(Command::new("chown").arg("-R").arg(format!("{}:{}", owner.uid, owner.gid)).arg(self.mail.join(name)));
            self.accounts.admin(&["account", "set", name, "--home", &home, "--maildir", name], "");
        }
    }

    fn held(&self) -> usize {
        [ANNA, BRUNO].map(|name| fs::read_dir(self.mail.join(name).join("new")).unwrap().count()).iter().sum()
    }
}

fn login(name: &str) -> Login {
    Login::parse(name.as_bytes(), None).unwrap()
}

#[track_caller]
fn over(outcome: Result<(), Denied>) -> String {
    match outcome {
        Err(Denied::Domain(over)) => over.to_string(),
        other => panic!("{other:?}"),
    }
}

fn a_full_domain_refuses_though_the_mailbox_has_room(kind: Kind) {
    let domain = Domain::with(Accounts::empty(kind), "250S");
    let store = domain.store();
    domain.deliver(&store, ANNA, "10000S").unwrap();
    domain.deliver(&store, BRUNO, "").unwrap();
    let told = over(domain.deliver(&store, BRUNO, ""));
    assert!(told.starts_with("over the quota of the domain x.example: 200 of 250 bytes used"), "{told}");
    assert!(
        domain.accounts.admin(&["domain", "show", "x.example"], "").contains("200 B in 2 messages, of 2 mailboxes")
    );
    // Anna deletes all mail. The pool is updated when the mailbox is counted.
    domain.remove_all(ANNA);
    over(domain.deliver(&store, BRUNO, ""));
    let anna = login(ANNA);
    let member = Member::of(&store, &anna).unwrap().unwrap();
    let recount = domain.mailbox(&member, &anna, "10000S").recount(Effort::Full).unwrap();
    member.publish(recount.usage).unwrap();
    domain.deliver(&store, BRUNO, "").unwrap();
    assert_eq!(store.pool_use("x.example").unwrap().usage, Usage { bytes: 200, messages: 2 });
}

fn a_mailbox_is_counted_before_its_domain_refuses(kind: Kind) {
    let domain = Domain::with(Accounts::empty(kind), "2C");
    let store = domain.store();
    domain.deliver(&store, ANNA, "").unwrap();
    domain.deliver(&store, ANNA, "").unwrap();
    assert!(over(domain.deliver(&store, ANNA, "")).contains("2 of 2 messages used"));
    domain.remove_all(ANNA);
    domain.deliver(&store, ANNA, "").unwrap();
    assert_eq!(store.pool_use("x.example").unwrap().usage, Usage { bytes: 100, messages: 1 });
}

fn a_failed_delivery_leaves_nothing_in_the_pool(kind: Kind) {
    let domain = Domain::with(Accounts::empty(kind), "250S");
    let (store, anna) = (domain.store(), login(ANNA));
    let member = Member::of(&store, &anna).unwrap().unwrap();
    let mailbox = domain.mailbox(&member, &anna, "");
    let (reservation, usage) = member.reserve(&mailbox, 200).unwrap();
    assert_eq!(store.pool_use("x.example").unwrap().usage, Usage { bytes: 200, messages: 1 });
    reservation.take_back().unwrap();
    member.withdraw(usage, 200).unwrap();
    assert_eq!(store.pool_use("x.example").unwrap().usage, Usage::default());
    assert!(matches!(member.precheck(MailboxAccess::Open(&mailbox), 250), Ok(())));
    assert!(matches!(member.precheck(MailboxAccess::Open(&mailbox), 251), Err(Denied::Domain(_))));
}

fn a_full_mailbox_refuses_though_its_domain_has_room(kind: Kind) {
    let domain = Domain::with(Accounts::empty(kind), "10000S");
    let store = domain.store();
    domain.deliver(&store, ANNA, "1C").unwrap();
    match domain.deliver(&store, ANNA, "1C") {
        Err(Denied::Mailbox(over)) => assert_eq!(over.kind, Limit::Messages),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.pool_use("x.example").unwrap().usage, Usage { bytes: 100, messages: 1 });
}

fn concurrent_deliveries_do_not_exceed_the_quota(kind: Kind) {
    let domain = Domain::with(Accounts::empty(kind), "20C");
    let store = open_pooled(&domain.config()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (domain, store) = (&domain, &store);
            let name = if thread % 2 == 0 { ANNA } else { BRUNO };
            scope.spawn(move || {
                for _ in 0..10 {
                    match domain.deliver(store, name, "") {
                        Ok(()) | Err(Denied::Domain(_)) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    // Two deliveries that compete for the last room may both be refused.
    while domain.deliver(&store, ANNA, "").is_ok() {}
    assert_eq!(domain.held(), 20);
    assert_eq!(store.pool_use("x.example").unwrap().usage, Usage { bytes: 2000, messages: 20 });
}

fn the_command_reads_and_updates_the_pool(kind: Kind) {
    let domain = Domain::with(Accounts::empty(kind), "150S");
    domain.deliver(&domain.store(), ANNA, "").unwrap();
    domain.settle();
    let ask = || domain.accounts.try_admin(&["quota", "may-store", BRUNO, "--size", "100"], "");
    let refused = ask();
    assert_eq!(refused.status.code(), Some(77), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stdout).contains("over the quota of the domain x.example"), "{refused:?}");
    domain.remove_all(ANNA);
    domain.accounts.admin(&["quota", "recount", ANNA], "");
    assert_eq!(ask().status.code(), Some(0));
}

fn mail_deleted_by_other_programs_makes_room(kind: Kind) {
    let domain = Domain::with(Accounts::empty(kind), "150S");
    domain.deliver(&domain.store(), ANNA, "").unwrap();
    domain.settle();
    let message = "x".repeat(100);
    let ends = |arguments: &[&str], code: i32| {
        let done = domain.accounts.try_admin(arguments, &message);
        assert_eq!(done.status.code(), Some(code), "{done:?}");
    };
    let may_store = ["quota", "may-store", BRUNO, "--size", "100"];
    ends(&may_store, 77);
    ends(&["deliver", BRUNO], 77);
    domain.remove_all(ANNA);
    ends(&["deliver", BRUNO], 0);
    assert_eq!(domain.store().pool_use("x.example").unwrap().usage, Usage { bytes: 100, messages: 1 });
    let ask_for = |name| domain.accounts.try_admin(&["quota", "may-store", name, "--size", "100"], "").status.code();
    assert_eq!(ask_for(ANNA), Some(77));
    domain.remove_all(BRUNO);
    assert_eq!(ask_for(ANNA), Some(0));
}

fn the_nightly_recount_includes_changes_of_other_programs(kind: Kind) {
    let domain = Domain::with(Accounts::empty(kind), "150S");
    let store = domain.store();
    domain.deliver(&store, ANNA, "").unwrap();
    let exact = store.pool_use("x.example").unwrap();
    domain.accounts.sql_without_checks("UPDATE domain_use SET bytes = 7000, messages = 7, mailboxes = 7");
    assert_eq!(store.pool_use("x.example").unwrap().mailboxes, 7);
    let counted = domain.accounts.try_admin(&["quota", "recount", "--all"], "");
    assert_eq!(counted.status.code(), Some(0), "{counted:?}");
    assert_eq!(store.pool_use("x.example").unwrap(), exact);
}

fn an_unreachable_database_is_never_over_quota(kind: Kind) {
    let domain = Domain::with(Accounts::on_own_server(kind), "1C");
    let (store, anna) = (domain.store(), login(ANNA));
    domain.deliver(&store, ANNA, "").unwrap();
    let member = Member::of(&store, &anna).unwrap().unwrap();
    let mailbox = domain.mailbox(&member, &anna, "");
    domain.accounts.server().crash();
    let decision = member.precheck(MailboxAccess::Open(&mailbox), 1);
    assert!(
        matches!(&decision, Err(Denied::Unknown(PoolError::Store(StoreError::Unreachable { .. })))),
        "{decision:?}"
    );
    assert!(matches!(member.reserve(&mailbox, 1), Err(Denied::Unknown(_))));
    assert!(Member::of(&store, &anna).is_err(), "and no account counts as unlimited");
    assert!(store.domains().is_err());
    assert_eq!(mailbox.stored().unwrap().usage, Some(Usage { bytes: 100, messages: 1 }), "nothing is left reserved");
}
