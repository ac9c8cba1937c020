//! Alias domains, and domains for which this host is only a backup MX.

use crate::database::{Database, account, domain, import, login};
use mailauth_core::DomainName;
use mailauth_core::store::{
    AccountStore, AdminError, Administration, AliasDomainRow, AliasRow, DomainKind, DomainRow, DomainStanding,
    MailStore, SqlStore, StoreError,
};
use mailauth_tests::{Kind, on_each_database_and_mysql};

on_each_database_and_mysql!(
    an_alias_domain_is_another_name_of_an_existing_domain,
    an_alias_domain_points_neither_to_another_nor_to_itself,
    a_domain_is_removed_with_its_alias_domains_or_not_at_all,
    nothing_is_added_to_alias_domains_and_backup_domains,
    only_an_empty_domain_can_be_a_backup_domain,
    two_aliases_are_looked_up_at_once,
);

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn other(name: &str, target: &str) -> AliasDomainRow {
    AliasDomainRow { name: name.into(), target: target.into(), enabled: true }
}

fn add(store: &SqlStore, name: &str, target: &str) -> Result<(), AdminError> {
    store.add_alias_domains(&[other(name, target)]).map_err(|(_, error)| error)
}

#[track_caller]
fn unfit<T: std::fmt::Debug>(done: Result<T, AdminError>, word: &str) {
    match done {
        Err(error @ AdminError::Unfit { .. }) if error.to_string().contains(word) => {}
        done => panic!("not unfit for {word}: {done:?}"),
    }
}

fn an_alias_domain_is_another_name_of_an_existing_domain(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    assert_eq!(store.domain(&name("x.example")).unwrap().unwrap().kind, DomainKind::Own);
    add(&store, "old.example", "x.example").unwrap();
    let leads = DomainKind::AliasOf(name("x.example"));
    let on = DomainStanding { enabled: true, kind: leads.clone() };
    assert_eq!(store.domain(&name("OLD.example")).unwrap(), Some(on));
    assert_eq!(store.alias_domain(&name("old.example")).unwrap(), Some(name("x.example")));
    assert_eq!(store.alias_domain(&name("x.example")).unwrap(), None);
    assert_eq!(store.find_alias_domain("old.example").unwrap(), Some(other("old.example", "x.example")));
    let off = AliasDomainRow { enabled: false, ..other("old.example", "x.example") };
    store.set_alias_domain(&off).unwrap();
    assert_eq!(store.domain(&name("old.example")).unwrap(), Some(DomainStanding { enabled: false, kind: leads }));
    assert_eq!(store.alias_domain(&name("old.example")).unwrap(), None, "no user can log in with it");
    let page = store.alias_domain_page(None, 9).unwrap();
    assert_eq!((page.rows, page.next), (vec![Ok(off)], None));
    store.remove_alias_domain("old.example").unwrap();
    assert_eq!(store.domain(&name("old.example")).unwrap(), None);
    assert!(matches!(store.remove_alias_domain("old.example"), Err(AdminError::NoSuch { .. })));
    assert!(matches!(store.set_alias_domain(&other("old.example", "x.example")), Err(AdminError::NoSuch { .. })));
}

fn an_alias_domain_points_neither_to_another_nor_to_itself(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    store.add_domain(&domain("y.example")).unwrap();
    store.add_domain(&DomainRow { backup: true, ..domain("backup.example") }).unwrap();
    add(&store, "old.example", "x.example").unwrap();
    unfit(add(&store, "older.example", "old.example"), "use x.example as the target");
    unfit(add(&store, "new.example", "new.example"), "another name of itself");
    unfit(add(&store, "y.example", "x.example"), "a domain of its own");
    unfit(add(&store, "new.example", "backup.example"), "backup MX");
    unfit(store.set_alias_domain(&other("old.example", "old.example")), "another name of itself");
    unfit(store.set_alias_domain(&other("old.example", "backup.example")), "backup MX");
    assert!(matches!(add(&store, "new.example", "nowhere.example"), Err(AdminError::NoSuch { what: "domain", .. })));
    assert!(matches!(add(&store, "old.example", "x.example"), Err(AdminError::Exists { .. })));
    unfit(store.add_domain(&domain("old.example")), "alias domain of x.example");
    let rows = [other("a.example", "x.example"), other("b.example", "x.example"), other("y.example", "x.example")];
    assert_eq!(store.add_alias_domains(&rows).unwrap_err().0, 2, "the index of the refused one");
    assert_eq!(store.find_alias_domain("a.example").unwrap(), None, "all or nothing");
}

fn a_domain_is_removed_with_its_alias_domains_or_not_at_all(kind: Kind) {
    let database = Database::empty(kind);
    let store = database.store();
    store.init().unwrap();
    store.add_domain(&domain("x.example")).unwrap();
    add(&store, "old.example", "x.example").unwrap();
    add(&store, "older.example", "x.example").unwrap();
    assert_eq!(store.alias_domains_of("x.example").unwrap(), ["old.example", "older.example"]);
    match store.remove_domain("x.example", false) {
        Err(AdminError::InUse { accounts: 0, aliases: 0, alias_domains: 2, .. }) => {}
        done => panic!("{done:?}"),
    }
    store.remove_domain("x.example", true).unwrap();
    assert_eq!(store.domain(&name("old.example")).unwrap(), None);
}

fn nothing_is_added_to_alias_domains_and_backup_domains(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    store.add_domain(&DomainRow { backup: true, ..domain("backup.example") }).unwrap();
    add(&store, "old.example", "x.example").unwrap();
    let alias = |address: &str| AliasRow { address: address.into(), targets: vec!["anna@x.example".into()] };
    for (domain, word) in [("old.example", "create the address in x.example"), ("backup.example", "backup MX")] {
        let address = format!("ben@{domain}");
        unfit(store.add_account(&account(&address)), word);
        unfit(store.add_alias(&alias(&address)), word);
        unfit(store.add_alias(&alias(&format!("@{domain}"))), word);
        unfit(store.rename_account(b"anna@x.example", &login(&address)), word);
        let refused = import(&store, &[account("carl@x.example"), account(&address)]).unwrap_err();
        assert!(format!("{refused:?}").contains(word), "{refused:?}");
        assert_eq!(store.find(&login("carl@x.example")).unwrap(), None, "all or nothing");
    }
    assert!(store.find(&login("anna@x.example")).unwrap().is_some());
}

fn only_an_empty_domain_can_be_a_backup_domain(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    let backup = |name: &str| DomainRow { backup: true, ..domain(name) };
    unfit(store.set_domain(&backup("x.example")), "has accounts");
    store.add_domain(&domain("y.example")).unwrap();
    store.add_alias(&AliasRow { address: "a@y.example".into(), targets: vec!["b@z.example".into()] }).unwrap();
    unfit(store.set_domain(&backup("y.example")), "has accounts");
    store.add_domain(&domain("z.example")).unwrap();
    add(&store, "old.example", "z.example").unwrap();
    unfit(store.set_domain(&backup("z.example")), "has accounts");
    store.remove_alias_domain("old.example").unwrap();
    store.set_domain(&backup("z.example")).unwrap();
    assert_eq!(store.domain(&name("z.example")).unwrap().unwrap().kind, DomainKind::Backup);
    store.set_domain(&domain("z.example")).unwrap();
    assert_eq!(store.domain(&name("z.example")).unwrap().unwrap().kind, DomainKind::Own);
}

fn two_aliases_are_looked_up_at_once(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    for (address, target) in [("a@x.example", "1@x.example"), ("b@x.example", "2@x.example")] {
        store.add_alias(&AliasRow { address: address.into(), targets: vec![target.into()] }).unwrap();
    }
    let both = |addresses| store.alias_targets_of(addresses).unwrap();
    let text = |target: &str| Ok(vec![target.to_owned()]);
    assert_eq!(both(["a@x.example", "b@x.example"]), [text("1@x.example"), text("2@x.example")]);
    assert_eq!(both(["b@x.example", "c@x.example"]), [text("2@x.example"), Ok(vec![])]);
    let many: Vec<_> = (0..2500).map(|n| format!("('many@x.example', 'x.example', '{n}@x.example')")).collect();
    let bad = "('bad@x.example', 'x.example', '|/bin/sh')";
    database.sql(&format!("INSERT INTO aliases (address, domain, target) VALUES {bad}, {}", many.join(", ")));
    for broken in ["bad@x.example", "many@x.example"] {
        let [one, two] = both([broken, "b@x.example"]);
        assert!(matches!(one, Err(StoreError::UnusableAlias { .. })), "{one:?}");
        assert_eq!(two, text("2@x.example"), "beside {broken}");
    }
}
