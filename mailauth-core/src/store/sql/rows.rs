//! Conversion of a row's values, none of which is trusted, to an [`AccountRow`].

use super::columns::{Column, DomainColumn, NotWhole, number_or_text};
use crate::account::{AccountRow, Login, Password};
use crate::mailbox::Unusable;
use crate::model::limits::Limits;
use crate::schema::Field;
use crate::store::StoreError;
use crate::store::administration::DomainRow;
use crate::store::driver::{Cell, Row};
use crate::{Secret, Services};
use std::borrow::Cow;

/// Maximum number of bytes of an invalid login that a message repeats.
const MOST_SHOWN: usize = 300;

/// Reads an account from the columns of a look-up. The login is the row's own, and must be folded already.
pub(in crate::store) fn account(row: &dyn Row) -> Result<AccountRow, Unusable> {
    let login = login(row)?;
    let fields = Fields { row, login: login.as_str() };
    let password = match cell(row, Field::Password) {
        Cell::Null => Password::default(),
        Cell::Text(bytes) => Password(Secret::from(fields.bounded(Field::Password, bytes)?)),
        Cell::Int(_) | Cell::Other => return Err(fields.unusable(Field::Password, "is not text")),
    };
    let (enabled, domain_enabled) = (fields.flag(Field::Enabled)?, fields.flag(Field::DomainEnabled)?);
    let services = match fields.text(Field::Services)? {
        None => Services::All,
        Some(text) => Services::parse(text).map_err(|_| {
            let problem = "is not a list of services; write imap,pop3, or none, or NULL for all services";
            fields.unusable(Field::Services, problem)
        })?,
    };
    let text = |field| Ok(fields.text(field)?.map(str::to_owned));
    Ok(AccountRow {
        password,
        enabled,
        domain_enabled,
        services,
        uid: fields.id(Field::Uid)?,
        gid: fields.id(Field::Gid)?,
        home: text(Field::Home)?,
        maildir: text(Field::Maildir)?,
        quota_bytes: fields.limit(Field::QuotaBytes)?,
        quota_messages: fields.limit(Field::QuotaMessages)?,
        name: text(Field::Name)?,
        options: text(Field::Options)?,
        receives: fields.flag(Field::Receives)?,
        login,
    })
}

/// Returns the value of a field in a row that a look-up read.
pub(in crate::store) fn cell(row: &dyn Row, field: Field) -> Cell<'_> {
    field.place().map_or(Cell::Other, |index| row.cell(index))
}

/// Returns true if a row that a look-up read has exactly this login.
pub(in crate::store) fn is_account(row: &dyn Row, login: &Login) -> bool {
    matches!(cell(row, Field::Login), Cell::Text(stored) if stored == login.as_str().as_bytes())
}

/// Returns the row's login, which must be stored in the spelling that is looked up.
fn login(row: &dyn Row) -> Result<Login, Unusable> {
    let unusable = |login: &[u8], problem: &'static str| Unusable {
        login: login.get(..MOST_SHOWN).unwrap_or(login).escape_ascii().to_string(),
        column: Field::Login.name(),
        problem: Cow::Borrowed(problem),
    };
    match cell(row, Field::Login) {
        Cell::Text(stored) => match Login::parse(stored, None) {
            Ok(login) if login.as_str().as_bytes() == stored => Ok(login),
            Ok(_) if Login::as_it_stands(stored).is_some() => Err(unusable(
                stored,
                "is not in the spelling that logins are looked up by, which is xn-- in a domain; 'mailauth init' corrects it",
            )),
            Ok(_) => Err(unusable(
                stored,
                "is not in lower case, so no login matches it; correct it with 'mailauth account rename --exact'",
            )),
            Err(_) => Err(unusable(
                stored,
                "is not a login: too long, not UTF-8, or with a control character or space; correct it with 'mailauth account \
                 rename --exact'",
            )),
        },
        Cell::Null => Err(unusable(b"", "is NULL")),
        Cell::Int(_) | Cell::Other => Err(unusable(b"", "is not text")),
    }
}

/// Reads a domain: its name, enabled, bytes and messages of its quota, backup, and description.
pub(in crate::store) fn domain(row: &dyn Row) -> Result<DomainRow, StoreError> {
    let stored = DomainColumn::Name.bytes(row);
    let name = match String::from_utf8(stored) {
        Ok(name) if !name.is_empty() => name,
        Ok(_) => return Err(unusable_domain("", "name", "is not text")),
        Err(other) => {
            let shown = other.as_bytes().escape_ascii().to_string();
            return Err(unusable_domain(&shown, "name", "is not valid UTF-8; correct it with SQL"));
        }
    };
    let flag = |column: DomainColumn, written| match column.number(row) {
        Some(flag @ (0 | 1)) => Ok(flag == 1),
        _ => Err(unusable_domain(&name.escape_debug().to_string(), written, "is neither 0 nor 1")),
    };
    let enabled = flag(DomainColumn::Enabled, "enabled")?;
    let quota = domain_limits(row, [DomainColumn::QuotaBytes, DomainColumn::QuotaMessages], &name)?;
    let backup = flag(DomainColumn::Backup, "backup")?;
    let description = String::from_utf8_lossy(&DomainColumn::Description.bytes(row)).into_owned();
    Ok(DomainRow { name, enabled, description: Some(description).filter(|text| !text.is_empty()), quota, backup })
}

fn unusable_domain(domain: &str, column: &'static str, problem: &'static str) -> StoreError {
    StoreError::UnusableDomain { domain: domain.to_owned(), column, problem }
}

/// Returns the quota of a domain, from the columns of its bytes and its messages.
pub(in crate::store) fn domain_limits<C: Column>(
    row: &dyn Row,
    [bytes, messages]: [C; 2],
    domain: &str,
) -> Result<Limits, StoreError> {
    let limit = |from: C, column| {
        let problem = match row.cell(from.index()) {
            Cell::Null => return Ok(None),
            Cell::Int(number) => match u64::try_from(number) {
                Ok(number) => return Ok(Some(number)),
                Err(_) => "is negative; write NULL for no limit",
            },
            Cell::Text(_) | Cell::Other => "is not a whole number",
        };
        Err(StoreError::UnusableDomain { domain: domain.escape_debug().to_string(), column, problem })
    };
    Ok(Limits::from_columns(limit(bytes, "quota_bytes")?, limit(messages, "quota_messages")?))
}

/// The fields of one row.
struct Fields<'a> {
    row: &'a dyn Row,
    login: &'a str,
}

impl<'a> Fields<'a> {
    fn unusable(&self, field: Field, problem: impl Into<Cow<'static, str>>) -> Unusable {
        Unusable { login: self.login.to_owned(), column: field.name(), problem: problem.into() }
    }

    /// Returns a text that is not empty; `None` for NULL and for an empty text.
    fn text(&self, field: Field) -> Result<Option<&'a str>, Unusable> {
        match cell(self.row, field) {
            Cell::Null => Ok(None),
            Cell::Text(bytes) => match std::str::from_utf8(self.bounded(field, bytes)?) {
                Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
                Err(_) => Err(self.unusable(field, "is not valid UTF-8; set it again")),
            },
            Cell::Int(_) | Cell::Other => Err(self.unusable(field, "is not text")),
        }
    }

    /// Returns the bytes of a text. Fails if there are more than its field may have.
    fn bounded(&self, field: Field, bytes: &'a [u8]) -> Result<&'a [u8], Unusable> {
        match field.most_bytes() {
            Some(most) if bytes.len() > most => {
                Err(self.unusable(field, format!("has more than {most} bytes; shorten it")))
            }
            _ => Ok(bytes),
        }
    }

    /// Reads a whole number, also if it is stored as text.
    fn number(&self, field: Field) -> Result<Option<i64>, Unusable> {
        number_or_text(cell(self.row, field)).map_err(|NotWhole| self.unusable(field, "is not a whole number"))
    }

    fn flag(&self, field: Field) -> Result<bool, Unusable> {
        match self.number(field)? {
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            _ => Err(self.unusable(field, "is neither 0 nor 1")),
        }
    }

    /// Reads a user or group id. The largest number is not one: it means "none" to the system calls that take it.
    fn id(&self, field: Field) -> Result<Option<u32>, Unusable> {
        match self.number(field)?.map(u32::try_from) {
            None => Ok(None),
            Some(Ok(id)) if id != u32::MAX => Ok(Some(id)),
            Some(_) => Err(self.unusable(field, "is not between 0 and 4294967294")),
        }
    }

    fn limit(&self, field: Field) -> Result<Option<u64>, Unusable> {
        match self.number(field)?.map(u64::try_from) {
            None => Ok(None),
            Some(Ok(limit)) if limit <= Limits::MAX => Ok(Some(limit)),
            Some(_) => Err(self.unusable(field, "is negative; write 0 for no limit, NULL for the configured quota")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        values
    }

    fn with(field: Field, cell: Cell<'static>) -> Result<AccountRow, Unusable> {
        let mut values = values();
        values[field.place().unwrap()] = cell;
        account(&Values(values))
    }

    #[test]
    fn a_row_of_nulls_gets_the_defaults() {
        let mut expected = AccountRow::new(Login::parse(b"anna@x.example", None).unwrap());
        expected.password = Password(Secret::from("$6$x"));
        assert_eq!(account(&Values(values())).unwrap(), expected);
    }

    #[test]
    fn each_invalid_value_is_named_by_its_column() {
        for (field, cell) in [
            (Field::Login, Cell::Text(b"Anna@x.example")),
            (Field::Login, Cell::Text(b"anna\n@x.example")),
            (Field::Login, Cell::Text(b"\xff@x.example")),
            (Field::Login, Cell::Null),
            (Field::Login, Cell::Int(5)),
            (Field::Password, Cell::Int(5)),
            (Field::Password, Cell::Other),
            (Field::Enabled, Cell::Int(2)),
            (Field::Enabled, Cell::Null),
            (Field::Enabled, Cell::Text(b"yes")),
            (Field::DomainEnabled, Cell::Int(-1)),
            (Field::Services, Cell::Text(b"imap;pop3")),
            (Field::Services, Cell::Text(b"\xff")),
            (Field::Uid, Cell::Int(-1)),
            (Field::Uid, Cell::Int(4_294_967_295)),
            (Field::Uid, Cell::Int(i64::MAX)),
            (Field::Uid, Cell::Text(b"nobody")),
            (Field::Uid, Cell::Other),
            (Field::Gid, Cell::Int(4_294_967_296)),
            (Field::Home, Cell::Text(b"/h\xe4ns")),
            (Field::Home, Cell::Int(7)),
            (Field::Maildir, Cell::Text(b"\xff")),
            (Field::QuotaBytes, Cell::Int(-5)),
            (Field::QuotaBytes, Cell::Text(b"10MB")),
            (Field::QuotaMessages, Cell::Int(i64::MIN)),
            (Field::Name, Cell::Text(b"J\xfcrg")),
            (Field::Options, Cell::Other),
            (Field::Receives, Cell::Int(2)),
            (Field::Receives, Cell::Null),
        ] {
            let unusable = with(field, cell).unwrap_err();
            assert_eq!(unusable.column, field.name(), "{cell:?}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_makes_its_row_unusable_and_is_not_repeated() {
        let long: &'static [u8] = vec![b'x'; 9000].leak();
        for field in Field::READ {
            let unusable = with(field, Cell::Text(long)).unwrap_err();
            assert_eq!(unusable.column, field.name());
            assert!(unusable.to_string().len() < 1000, "{unusable}");
            if let Some(most) = field.most_bytes() {
                assert_eq!(unusable.problem, format!("has more than {most} bytes; shorten it"));
                assert!(most < 9000);
            }
        }
        assert!(with(Field::Options, Cell::Text(long.get(..8192).unwrap())).is_ok());
    }

    #[test]
    fn a_password_is_bytes() {
        let row = with(Field::Password, Cell::Text(b"{PLAIN}\xff\xfe")).unwrap();
        assert_eq!(row.password.0.expose(), b"{PLAIN}\xff\xfe");
        assert!(with(Field::Password, Cell::Null).unwrap().password.0.is_empty());
    }

    #[test]
    fn empty_text_counts_as_null_and_numbers_may_be_text() {
        assert_eq!(with(Field::Home, Cell::Text(b"")).unwrap().home, None);
        assert_eq!(with(Field::Services, Cell::Text(b"")).unwrap().services, Services::All);
        assert_eq!(with(Field::Uid, Cell::Text(b"5000")).unwrap().uid, Some(5000));
        assert_eq!(with(Field::QuotaBytes, Cell::Text(b"")).unwrap().quota_bytes, None);
    }

    #[test]
    fn an_unprintable_login_is_escaped_where_it_is_reported() {
        assert_eq!(with(Field::Login, Cell::Text(b"a\n\xff")).unwrap_err().login, r"a\n\xff");
    }
}
