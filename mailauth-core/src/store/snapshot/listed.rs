//! Rows of another program's tables in the form of copied rows.

use super::original::{CopiedRow, DOMAIN, Value};
use crate::Secret;
use crate::account::{AccountRow, Login};
use crate::mailbox::Unusable;
use crate::schema::Field;

/// A page of rows that were listed, in the order of the key of their table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListedPage {
    /// The rows, in the form of copied rows. Rows that no question can find are left out.
    pub rows: Vec<CopiedRow>,
    /// Start of the next page; `None` on the last page.
    pub next: Option<crate::store::Cursor>,
}

/// Returns the copied row of an account. Whether its domain is enabled is part of whether it is enabled.
pub(in crate::store) fn account(row: &AccountRow) -> CopiedRow {
    let text = |text: &str| Value::Text(Secret::from(text));
    let or_null = |value: &Option<String>| value.as_deref().map_or(Value::Null, text);
    let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let limit = |limit: Option<u64>| limit.map_or(Value::Null, number);
    let services = Some(row.services.to_string()).filter(|list| !list.is_empty());
    let value = |field| match field {
        Field::Login => text(row.login.as_str()),
        Field::Password => Value::Text(row.password.0.clone()),
        Field::Enabled => number(u64::from(row.enabled && row.domain_enabled)),
        // In the place of whether the domain is enabled.
        Field::DomainEnabled => text(row.login.domain()),
        Field::Services => or_null(&services),
        Field::Uid => limit(row.uid.map(u64::from)),
        Field::Gid => limit(row.gid.map(u64::from)),
        Field::Home => or_null(&row.home),
        Field::Maildir => or_null(&row.maildir),
        Field::QuotaBytes => limit(row.quota_bytes),
        Field::QuotaMessages => limit(row.quota_messages),
        Field::Name => or_null(&row.name),
        Field::Options => or_null(&row.options),
        Field::Receives => number(u64::from(row.receives)),
        Field::Domain | Field::Created | Field::Updated | Field::PasswordChanged => Value::Null,
    };
    Field::READ.map(value).to_vec()
}

/// Returns the copied row of an account whose row in the database cannot be used, so that it cannot be used in the copy
/// either; `None` if no login finds it.
pub(in crate::store) fn unusable_account(unusable: &Unusable) -> Option<CopiedRow> {
    let login = Login::parse(unusable.login.as_bytes(), None).ok()?;
    let mut row = account(&AccountRow::new(login));
    spoil(&mut row, Field::READ.into_iter().find(|field| field.name() == unusable.column));
    Some(row)
}

/// Puts a value into a copied account that no field may have.
pub(super) fn spoil(row: &mut CopiedRow, field: Option<Field>) {
    let place = field.and_then(Field::place).filter(|place| *place != DOMAIN && *place > 0);
    if let Some(value) = place.or(Field::Enabled.place()).and_then(|place| row.get_mut(place)) {
        *value = Value::Other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Services;
    use crate::account::Password;
    use crate::store::driver::{Cell, Row};
    use crate::store::sql::rows;

    /// A copied row as it is read from the file.
    struct Read(CopiedRow);

    impl Row for Read {
        fn cell(&self, index: usize) -> Cell<'_> {
            match self.0.get(index) {
                // In the place of the domain, the model of the copy has nothing.
                _ if index == DOMAIN => Cell::Int(1),
                Some(Value::Null) => Cell::Null,
                Some(Value::Int(number)) => Cell::Int(*number),
                Some(Value::Text(text)) => Cell::Text(text.expose()),
                Some(Value::Other) | None => Cell::Other,
            }
        }
    }

    fn full() -> AccountRow {
        let login = Login::parse(b"anna@x.example", None).unwrap();
        AccountRow {
            password: Password(Secret::from("{PLAIN}\u{ff}")),
            services: Services::parse("imap,pop3").unwrap(),
            uid: Some(5000),
            gid: Some(0),
            home: Some("/h".into()),
            maildir: Some("m".into()),
            quota_bytes: Some(0),
            quota_messages: Some(7),
            name: Some("Anna".into()),
            options: Some("a=b".into()),
            receives: false,
            ..AccountRow::new(login)
        }
    }

    #[test]
    fn a_copied_account_is_read_as_the_same_account() {
        let none = AccountRow { services: Services::parse("none").unwrap(), enabled: false, ..full() };
        for row in [full(), none, AccountRow::new(full().login)] {
            assert_eq!(rows::account(&Read(account(&row))).unwrap(), row);
        }
    }

    #[test]
    fn an_account_of_a_disabled_domain_is_disabled_in_the_copy() {
        let row = AccountRow { domain_enabled: false, ..full() };
        assert!(!rows::account(&Read(account(&row))).unwrap().enabled);
    }

    #[test]
    fn an_unusable_account_is_unusable_in_the_copy() {
        for column in Field::READ.map(Field::name) {
            let unusable = Unusable { login: "anna@x.example".into(), column, problem: "is odd".into() };
            let copied = rows::account(&Read(unusable_account(&unusable).unwrap())).unwrap_err();
            assert_eq!(copied.login, "anna@x.example");
            let other = column == "login" || column == "domain_enabled";
            assert_eq!(copied.column, if other { "enabled" } else { column });
        }
        let unusable = Unusable { login: String::new(), column: "login", problem: "is NULL".into() };
        assert_eq!(unusable_account(&unusable), None);
    }
}
