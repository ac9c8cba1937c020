//! Lists of all accounts.

use super::*;

#[test]
fn an_enumeration_has_all_pages_and_no_disabled_accounts() {
    let rows = (0..PAGE * 2 + 1).map(|i| AccountRow { enabled: i != 7, ..row(&format!("user{i:05}@x.example"), "") });
    let users = table(rows);
    let mut after = None;
    let mut seen = 0;
    loop {
        let (accounts, next) = yes(users.enumerate(after.as_ref()));
        seen += accounts.len();
        match next {
            Some(cursor) => after = Some(cursor),
            None => break,
        }
    }
    assert_eq!(seen, PAGE * 2);
}

#[test]
fn an_enumeration_leaves_out_unusable_rows() {
    let bad = unusable_rows().into_iter().map(|(_, row)| row);
    let users = table([row("a@x.example", "")].into_iter().chain(bad).chain([row("z@x.example", "")]));
    let (accounts, next) = yes(users.enumerate(None));
    let logins: Vec<_> = accounts.iter().map(|account| account.login.as_str()).collect();
    assert_eq!((logins, next), (vec!["a@x.example", "z@x.example"], None));
}

#[test]
fn an_enumeration_during_an_outage_is_not_now() {
    let users = over(failing(Some(away())));
    assert_eq!(not_now(users.enumerate(None)), NotNow::Store(away()));
}
