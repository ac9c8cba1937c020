//! Lists of another program's rows, in the order of keys of all types.

use super::program::Program;
use mailauth_core::schema::{ForeignModel, Listing};
use mailauth_core::store::{AccountStore, Administration, Cursor, SqlStore, StoreError};
use mailauth_tests::{Kind, on_each_database_and_mysql};
use std::collections::BTreeSet;

on_each_database_and_mysql!(
    pages_are_in_the_order_of_any_key,
    a_place_in_another_list_is_refused_or_harmless,
    domains_and_aliases_of_another_program_are_listed,
    a_page_of_many_rows_is_read_by_the_index_of_its_key,
);

fn by(program: &Program, key: &[&str]) -> ForeignModel {
    let mut model = program.model();
    model.accounts.key = key.iter().map(|column| (*column).to_owned()).collect();
    model
}

/// Adds accounts with the ids from 11 to `last`.
fn fill(program: &Program, last: u32) {
    let rows: Vec<_> = (11..=last).collect();
    for some in rows.chunks(1000) {
        let values = some.iter().map(|id| {
            let (local, realm) = (format!("user{}", id * 7919 % 100_003), ["kontor", "off"][*id as usize % 2]);
            format!("({id}, '{local}', '{realm}.example', '', 1)")
        });
        let values = values.collect::<Vec<_>>().join(", ");
        program.sql(&format!("INSERT INTO \"user\" (id, local, realm, clear, active) VALUES {values}"));
    }
}

fn logins(store: &SqlStore, limit: usize) -> Vec<String> {
    let (mut logins, mut after) = (Vec::new(), None);
    loop {
        let page = store.enumerate(after.as_ref(), limit).expect("a page");
        logins.extend(page.rows.into_iter().map(|row| row.expect("a usable row").login.to_string()));
        match page.next {
            Some(next) => after = Some(next),
            None => return logins,
        }
        assert!(logins.len() < 10_000, "the list does not end");
    }
}

fn pages_are_in_the_order_of_any_key(kind: Kind) {
    let program = Program::new(kind);
    fill(&program, 260);
    let expected: BTreeSet<_> = logins(&program.store(), 1000).into_iter().collect();
    assert_eq!(expected.len(), 254);
    for key in [&["u.id"][..], &["u.local", "u.realm"], &["u.realm", "u.id"], &["u.realm", "u.local"]] {
        let store = program.open(by(&program, key));
        for limit in [1, 50, 127] {
            let listed = logins(&store, limit);
            assert_eq!((listed.len(), listed.into_iter().collect()), (254, expected.clone()), "{key:?} {limit}");
        }
    }
    assert_eq!(logins(&program.store(), 2)[..2], ["anna@kontor.example", "bert@kontor.example"]);
}

fn a_place_in_another_list_is_refused_or_harmless(kind: Kind) {
    let program = Program::new(kind);
    let (by_id, by_name) = (program.store(), program.open(by(&program, &["u.local", "u.realm"])));
    let place = by_name.enumerate(None, 2).unwrap().next;
    assert!(matches!(by_id.enumerate(place.as_ref(), 2), Err(StoreError::Refused { .. })), "a longer key");
    for place in [&b"anna"[..], b"\xff", b"\x01\x00t\x00\x00\x00\x01\xff", b"\x01\x00i\x80\x00\x00\x00\x00\x00\x00\x00"]
    {
        // What a database answers about a text in place of a number differs; it is an answer or an error.
        let _ = by_id.enumerate(Some(&Cursor::behind(place)), 2);
        assert_eq!(logins(&by_id, 9).len(), 4, "the connection works");
    }
}

fn domains_and_aliases_of_another_program_are_listed(kind: Kind) {
    let program = Program::new(kind);
    let mut model = program.model();
    let list = |from: &str, columns: [&str; 2], key: &str| {
        let columns = columns.map(str::to_owned);
        Some(vec![Listing { from: from.to_owned(), filter: None, columns, key: vec![key.to_owned()] }])
    };
    model.domains.as_mut().unwrap().list = list("realm d", ["LOWER(d.name)", "d.active"], "d.name");
    model.aliases.as_mut().unwrap().list = list("nickname n", ["LOWER(n.address)", "n.targets"], "n.id");
    model.alias_domains.as_mut().unwrap().list = list("other_name x", ["x.name", "x.target"], "x.name");
    let store = program.open(model);
    let domains: Vec<_> = store.domains().unwrap().into_iter().map(|row| (row.name, row.enabled)).collect();
    assert_eq!(domains, [("kontor.example".to_owned(), true), ("off.example".to_owned(), false)]);
    let mut aliases = Vec::new();
    let each = &mut |alias| {
        aliases.push(alias);
        std::ops::ControlFlow::Continue(())
    };
    store.each_alias(None, each).unwrap();
    let listed: Vec<_> = aliases.iter().flatten().map(|alias| (alias.address.as_str(), alias.targets.len())).collect();
    assert_eq!(listed, [("info@kontor.example", 3), ("@off.example", 1)]);
    assert_eq!(aliases.iter().filter(|alias| alias.is_err()).count(), 1, "{aliases:?}");
    let others = store.alias_domain_page(None, 10).unwrap().rows;
    assert_eq!(others[0].as_ref().unwrap().target, "kontor.example");
}

fn a_page_of_many_rows_is_read_by_the_index_of_its_key(kind: Kind) {
    let program = Program::new(kind);
    fill(&program, 20_000);
    program.sql(match kind {
        Kind::MariaDb | Kind::MySql => "ANALYZE TABLE \"user\", realm",
        Kind::Sqlite | Kind::Postgres => "ANALYZE",
    });
    for key in [&["u.id"][..], &["u.local", "u.realm"]] {
        let statements = program.open(by(&program, key)).statements();
        let list = statements.iter().find(|statement| statement.name == "list_accounts").expect("the list");
        let sql = list.sql.replace("LIMIT ?", "LIMIT 100").replace("LIMIT $1", "LIMIT 100");
        let explain = if kind == Kind::Sqlite { "EXPLAIN QUERY PLAN SELECT" } else { "EXPLAIN SELECT" };
        let plan = program.database.sql(&sql.replacen("SELECT", explain, 1));
        for sorting in ["filesort", "Sort", "TEMP B-TREE", "join buffer"] {
            assert!(!plan.contains(sorting), "{key:?}: {plan}");
        }
    }
}
