//! Conversion of another program's rows to accounts, by the code that reads our own rows.

use super::quota::{self, QuotaColumns};
use super::statements::{MOST_QUOTA, QUOTA};
use crate::account::{AccountRow, Login};
use crate::mailbox::Unusable;
use crate::schema::{Field, ForeignModel};
use crate::store::driver::{Cell, Row};
use crate::store::sql::rows;
use crate::{Service, Services};
use std::borrow::Cow;

/// Maximum number of bytes of an invalid login that a message repeats.
const MOST_SHOWN: usize = 300;

/// The services that Courier's options can disable, each with its option.
const DISABLED_BY: [(&str, Service); 4] = [
    ("disableimap", Service::Imap),
    ("disablepop3", Service::Pop3),
    ("disablesmtp", Service::Smtp),
    ("disablewebmail", Service::Webmail),
];

/// Reads an account from the columns of a look-up.
pub(in crate::store) fn account(row: &dyn Row, model: &ForeignModel) -> Result<AccountRow, Unusable> {
    let login = login(row, model)?;
    let unusable = |field: Field, problem: String| Unusable {
        login: login.to_string(),
        column: field.name(),
        problem: Cow::Owned(problem),
    };
    for field in Field::READ {
        if let Some(problem) = type_problem(field, rows::cell(row, field)) {
            let key = format!("[schema.accounts] {}", field.name());
            return Err(unusable(field, format!("{problem} in {key}")));
        }
    }
    let corrected = |problem: &str| format!("{problem}; correct it {}", model.place());
    let quota = quota_of(row, model).map_err(|problem| unusable(Field::QuotaBytes, corrected(problem)))?;
    let services = match rows::cell(row, Field::Services) {
        Cell::Text(text) => text.to_ascii_lowercase(),
        _ => Vec::new(),
    };
    let mut account = rows::account(&Adapted { row, model, quota, services: &services })?;
    if model.accounts.options_disable_services {
        account.services = without_disabled(account.services, account.options.as_deref().unwrap_or_default());
    }
    Ok(account)
}

/// Returns the row's login. The statement folds it to lower case, so a login that differs from its folded form holds
/// characters that the database does not fold, and is never looked up.
fn login(row: &dyn Row, model: &ForeignModel) -> Result<Login, Unusable> {
    let unusable = |login: &[u8], problem: &str| Unusable {
        login: login.get(..MOST_SHOWN).unwrap_or(login).escape_ascii().to_string(),
        column: Field::Login.name(),
        problem: Cow::Owned(format!("{problem}; correct it {}", model.place())),
    };
    match rows::cell(row, Field::Login) {
        Cell::Text(stored) => match Login::parse(stored, None) {
            Ok(login) if login.as_str().as_bytes() == stored => Ok(login),
            Ok(login) => Err(unusable(stored, &format!("is looked up as {login}, and is never found"))),
            Err(why) => Err(unusable(stored, &format!("is not a login: {why}"))),
        },
        Cell::Null => Err(unusable(b"", "is NULL")),
        Cell::Int(_) | Cell::Other => Err(unusable(b"", "is not text")),
    }
}

/// Returns what is wrong with the type of a value, if no value of that type can be read.
fn type_problem(field: Field, cell: Cell<'_>) -> Option<&'static str> {
    match (field, cell) {
        (_, Cell::Null) | (Field::Login, _) => None,
        (field, Cell::Text(text)) if field.most_bytes().is_none() => {
            let is_number = text.is_empty() || std::str::from_utf8(text).is_ok_and(|text| text.parse::<i64>().is_ok());
            let is_flag = matches!(field, Field::Enabled | Field::DomainEnabled | Field::Receives);
            match (is_number, is_flag) {
                (true, _) => None,
                (false, true) => Some("is neither 0 nor 1; write CASE WHEN ... THEN 1 ELSE 0 END"),
                (false, false) => Some("is not a whole number; cast it to bigint"),
            }
        }
        (field, Cell::Other) if field.most_bytes().is_none() => {
            Some("has a type that is not read, such as NUMERIC or float; cast it to bigint")
        }
        (field, Cell::Int(_) | Cell::Other) if field.most_bytes().is_some() => Some("is not text; cast it to text"),
        _ => None,
    }
}

/// Returns the quota that is in one column, if there is such a column.
fn quota_of(row: &dyn Row, model: &ForeignModel) -> Result<QuotaColumns, &'static str> {
    let plain_is_bytes = model.accounts.quota.as_ref().is_some_and(|quota| quota.plain_is_bytes);
    match row.cell(QUOTA) {
        Cell::Null => Ok(QuotaColumns::default()),
        Cell::Int(number) => quota::read(&number.to_string(), plain_is_bytes),
        Cell::Text(text) if text.len() > MOST_QUOTA => Err("has more than 100 bytes"),
        Cell::Text(text) => quota::read(std::str::from_utf8(text).map_err(|_| "is not valid UTF-8")?, plain_is_bytes),
        Cell::Other => Err("is neither text nor a whole number"),
    }
}

/// Removes the services that options such as `disableimap=1` disable.
fn without_disabled(services: Services, options: &str) -> Services {
    let is_disabled = |service: &Service| {
        let names = DISABLED_BY.iter().filter(|(_, disabled)| disabled == service).map(|(name, _)| *name);
        names.into_iter().any(|name| options.split(',').any(|option| is_set(option, name)))
    };
    match services {
        Services::All if !DISABLED_BY.iter().any(|(_, service)| is_disabled(service)) => Services::All,
        // Courier knows no other services.
        Services::All => {
            let known = DISABLED_BY.iter().map(|(_, service)| service.clone());
            Services::Only(known.filter(|service| !is_disabled(service)).collect())
        }
        Services::Only(list) => Services::Only(list.into_iter().filter(|service| !is_disabled(service)).collect()),
    }
}

/// Returns true if an option is `name`, alone or with a value that Courier takes for true: a number other than 0, or a
/// word that begins with t or y.
fn is_set(option: &str, name: &str) -> bool {
    let (key, value) = option.trim().split_once('=').map_or((option.trim(), None), |(key, value)| (key, Some(value)));
    let is_true = |value: &str| {
        let value = value.trim_start();
        let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
        let number = digits.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        value.starts_with(['t', 'T', 'y', 'Y']) || number.bytes().any(|digit| digit != b'0')
    };
    key.trim_end() == name && value.is_none_or(is_true)
}

/// A row with the values that our own tables would hold.
struct Adapted<'a> {
    row: &'a dyn Row,
    model: &'a ForeignModel,
    quota: QuotaColumns,
    /// The list of services in lower case.
    services: &'a [u8],
}

impl Row for Adapted<'_> {
    fn cell(&self, index: usize) -> Cell<'_> {
        let number = |number: Option<i64>| number.map_or(Cell::Null, Cell::Int);
        let is = |field: Field| field.place() == Some(index);
        let lacks = |field: Field| self.model.accounts.field(field).is_none();
        match self.row.cell(index) {
            _ if is(Field::QuotaBytes) && lacks(Field::QuotaBytes) => number(self.quota.bytes),
            _ if is(Field::QuotaMessages) && lacks(Field::QuotaMessages) => number(self.quota.messages),
            Cell::Text(_) if is(Field::Services) => Cell::Text(self.services),
            cell => cell,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::model;
    use super::*;
    use crate::schema::QuotaText;

    struct Values(Vec<Cell<'static>>);

    impl Row for Values {
        fn cell(&self, index: usize) -> Cell<'_> {
            self.0.get(index).copied().unwrap_or(Cell::Other)
        }
    }

    fn values() -> Vec<Cell<'static>> {
        let mut values = vec![Cell::Text(b"anna@x.example"), Cell::Text(b"$6$x"), Cell::Int(1), Cell::Int(1)];
        values.resize(Field::READ.len() - 1, Cell::Null);
        values.push(Cell::Int(1));
        values.push(Cell::Null);
        values
    }

    fn with(model: &ForeignModel, field: Field, cell: Cell<'static>) -> Result<AccountRow, Unusable> {
        let mut values = values();
        values[field.place().unwrap()] = cell;
        account(&Values(values), model)
    }

    /// Returns bytes and messages that are read from the quota in one column.
    fn quota(cell: Cell<'static>) -> Result<(Option<u64>, Option<u64>), Unusable> {
        let mut model = model();
        model.accounts.quota = Some(QuotaText { sql: "q".into(), plain_is_bytes: true });
        for field in [Field::QuotaBytes, Field::QuotaMessages] {
            model.accounts.fields[field.place().unwrap()] = None;
        }
        let mut values = values();
        values[QUOTA] = cell;
        account(&Values(values), &model).map(|row| (row.quota_bytes, row.quota_messages))
    }

    #[test]
    fn a_quota_in_one_column_becomes_two_numbers() {
        assert_eq!(quota(Cell::Text(b"104857600S,1000C")).unwrap(), (Some(104_857_600), Some(1000)));
        assert_eq!(quota(Cell::Int(1000)).unwrap(), (Some(1000), Some(0)));
        assert_eq!(quota(Cell::Int(-1)).unwrap(), (Some(0), Some(0)), "no limit, also if there is a default");
        assert_eq!(quota(Cell::Text(b"NOQUOTA")).unwrap(), (Some(0), Some(0)));
        assert_eq!(quota(Cell::Null).unwrap(), (None, None), "the default");
        for cell in [Cell::Text(b"lots"), Cell::Text(b"\xff"), Cell::Other, Cell::Text(&[b'1'; 101])] {
            let unusable = quota(cell).unwrap_err();
            assert_eq!(unusable.column, "quota_bytes");
            assert!(unusable.problem.ends_with("; correct it in Kontor"), "{unusable}");
        }
    }

    #[test]
    fn a_value_of_another_type_says_what_to_cast() {
        let model = model();
        for (field, cell, problem) in [
            (Field::Uid, Cell::Other, "NUMERIC or float; cast it to bigint in [schema.accounts] uid"),
            (
                Field::QuotaBytes,
                Cell::Text(b"5.00"),
                "whole number; cast it to bigint in [schema.accounts] quota_bytes",
            ),
            (Field::Enabled, Cell::Other, "cast it to bigint in [schema.accounts] enabled"),
            (Field::Receives, Cell::Text(b"y"), "CASE WHEN ... THEN 1 ELSE 0 END in [schema.accounts] receives"),
            (Field::Home, Cell::Int(5), "is not text; cast it to text in [schema.accounts] home"),
            (Field::Password, Cell::Other, "is not text; cast it to text in [schema.accounts] password"),
        ] {
            let unusable = with(&model, field, cell).unwrap_err();
            assert_eq!(unusable.column, field.name());
            assert!(unusable.problem.contains(problem), "{unusable}");
        }
        assert_eq!(with(&model, Field::Uid, Cell::Text(b"5000")).unwrap().uid, Some(5000));
        assert!(!with(&model, Field::Enabled, Cell::Text(b"0")).unwrap().enabled);
    }

    #[test]
    fn services_may_be_written_in_capitals() {
        let services = |text| with(&model(), Field::Services, Cell::Text(text)).unwrap().services.to_string();
        assert_eq!(services(b"IMAP,POP3"), "imap,pop3");
        assert_eq!(services(b"NONE"), "none");
        assert!(with(&model(), Field::Services, Cell::Text(b"IMAP;POP3")).is_err());
    }

    #[test]
    fn a_login_that_cannot_be_looked_up_is_corrected_in_its_program() {
        for stored in ["ÄNNA@x.example", "anna@müller.example", "a\nb@x.example", "@x.example"] {
            let unusable = with(&model(), Field::Login, Cell::Text(stored.as_bytes())).unwrap_err();
            assert!(unusable.problem.ends_with("; correct it in Kontor"), "{unusable}");
            assert!(!unusable.to_string().contains("mailauth"), "{unusable}");
        }
    }

    #[test]
    fn options_disable_services_as_courier_reads_them() {
        let mut model = model();
        model.accounts.options_disable_services = true;
        let services = |options: &'static str| {
            let row = with(&model, Field::Options, Cell::Text(options.as_bytes())).unwrap();
            assert_eq!(row.options.as_deref().unwrap_or_default(), options, "kept for Courier's own servers");
            row.services.to_string()
        };
        for options in ["", "disableimap=0", "disablepop3=no,sharedgroup=x", "xdisableimap=1", "disableimap1"] {
            assert_eq!(services(options), "", "{options}");
        }
        for options in [
            "disableimap=1",
            "disableimap",
            " disableimap=2 ",
            "disableimap=yes",
            "disableimap=True",
            "a=b,disableimap=-1",
        ] {
            assert_eq!(services(options), "pop3,smtp,webmail", "{options}");
        }
        assert_eq!(services("disableimap=1,disablepop3=1,disablesmtp=t,disablewebmail=Y"), "none");
        let mut values = values();
        values[Field::Services.place().unwrap()] = Cell::Text(b"imap,sieve");
        values[Field::Options.place().unwrap()] = Cell::Text(b"disableimap=1");
        assert_eq!(account(&Values(values), &model).unwrap().services.to_string(), "sieve");
    }
}
