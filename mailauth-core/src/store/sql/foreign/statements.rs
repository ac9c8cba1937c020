//! The statements over the tables of another program, built once from its model and the dialect.

use super::password::PasswordStatements;
use super::{ACCOUNTS, ALIAS_DOMAINS, ALIASES, DOMAINS};
use crate::account::Login;
use crate::schema::{Field, ForeignModel, NamedSql, Parameter};
use crate::store::driver::{Dialect, Param, Statement};
use crate::store::sql::finding::FindSeveral;
use crate::store::sql::statements::several;
use crate::store::sql::{ParameterKind, StatementText};

/// Number of rows that are read for one login. A collation may find several, of which one is meant.
pub(in crate::store) const MOST_FOUND: usize = 100;

/// Maximum number of bytes of a quota in one column.
pub(in crate::store) const MOST_QUOTA: usize = 100;

/// Index of the quota in one column, after the fields of [`Field::READ`].
pub(in crate::store) const QUOTA: usize = Field::READ.len();

/// The statements that are kept prepared, and the parts from which those that list rows are built.
pub(in crate::store) struct ForeignStatements {
    /// The columns of an account: those of [`Field::READ`], then the quota in one column.
    pub columns: String,
    /// Finds one account.
    pub find: Question,
    /// Find several accounts; there are none unless [`ForeignStatements::find`] compares a column with the login.
    pub find_several: FindSeveral,
    /// Returns name and enabled of a domain; `None` if the tables hold none.
    pub domain: Option<Question>,
    /// Returns address and targets of an alias; `None` if the tables hold none.
    pub alias: Option<Question>,
    /// Returns name and target of an alias domain; `None` if the tables hold none.
    pub alias_domain: Option<Question>,
    /// Counts the accounts.
    pub count: Statement,
    /// Changes a password; `None` if that is not configured.
    pub password: Option<PasswordStatements>,
    /// Number of the first slot that no statement uses.
    pub free_slot: usize,
}

/// A statement about one name, and the parameters in its order.
pub(in crate::store) struct Question {
    pub statement: Statement,
    parameters: Vec<Parameter>,
}

/// What a statement asks about: a login, an address or a domain.
#[derive(Clone, Copy)]
pub(in crate::store) struct Name<'a> {
    whole: &'a str,
    local: &'a str,
    domain: &'a str,
}

impl<'a> Name<'a> {
    /// Returns a login or an address. For a catch-all, `@domain`, the local part is empty.
    pub fn of_address(address: &'a str) -> Self {
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        Name { whole: address, local, domain }
    }

    /// Returns a domain.
    pub fn of_domain(domain: &'a str) -> Self {
        Name { whole: domain, local: "", domain }
    }

    fn value(&self, parameter: Parameter) -> Param<'a> {
        Param::Text(match parameter {
            Parameter::Login | Parameter::Address => self.whole.as_bytes(),
            Parameter::Local => self.local.as_bytes(),
            Parameter::Domain => self.domain.as_bytes(),
        })
    }
}

impl Question {
    pub fn new(statement: Statement, parameters: &[Parameter]) -> Self {
        Question { statement, parameters: parameters.to_vec() }
    }

    /// Returns the values of the parameters for `name`.
    pub fn values<'a>(&self, name: Name<'a>) -> Vec<Param<'a>> {
        self.parameters.iter().map(|parameter| name.value(*parameter)).collect()
    }

    /// Returns the parameters in their order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn text(&self, name: &'static str) -> StatementText {
        let kind = |parameter: &Parameter| match parameter {
            Parameter::Login => ParameterKind::Login,
            Parameter::Local => ParameterKind::Text,
            Parameter::Domain => ParameterKind::Domain,
            Parameter::Address => ParameterKind::Address,
        };
        StatementText { name, sql: self.statement.sql.clone(), parameters: self.parameters.iter().map(kind).collect() }
    }
}

impl ForeignStatements {
    /// Builds the statements. Their slots begin at `first_slot`.
    pub fn new(model: &ForeignModel, dialect: &Dialect, first_slot: usize) -> Self {
        let mut slots = first_slot..;
        let mut kept = |sql: &str| Statement { slot: slots.next(), sql: dialect.placeholders(sql) };
        let password = PasswordStatements::new(model, dialect, &mut kept);
        let mut question = |sql: &str, named: &NamedSql| Question::new(kept(sql), &named.parameters);
        let mut given = |named: &NamedSql| question(&named.sql, named);
        let accounts = &model.accounts;
        let columns = account_columns(model, dialect);
        let from = &accounts.from;
        let filter = |before: &str| accounts.filter.as_ref().map(|sql| format!("{before} ({sql})")).unwrap_or_default();
        let domain = model.domains.as_ref().map(|domains| given(&domains.find));
        let alias = model.aliases.as_ref().map(|aliases| given(&aliases.find));
        let alias_domain = model.alias_domains.as_ref().map(|domains| given(&domains.find));
        let (find, and) = (&accounts.find, filter(" AND"));
        let sql = format!("SELECT {columns} FROM {from} WHERE ({}){and} LIMIT {MOST_FOUND}", find.sql);
        let find = question(&sql, find);
        let count = kept(&format!("SELECT COUNT(*) FROM {from}{}", filter(" WHERE")));
        let find_several = match login_column(&accounts.find) {
            None => FindSeveral::default(),
            Some(column) => FindSeveral::new(dialect, &mut slots, |list| {
                format!("SELECT {columns} FROM {from} WHERE ({column} IN ({list})){and} LIMIT {MOST_FOUND}")
            }),
        };
        ForeignStatements {
            columns,
            find,
            find_several,
            domain,
            alias,
            alias_domain,
            count,
            password,
            free_slot: slots.start,
        }
    }

    /// Returns each statement about one name, with its name and the section of the configuration that it is from.
    pub fn questions(&self) -> impl Iterator<Item = (&'static str, &'static str, &Question)> {
        let optional = [
            ("find_domain", DOMAINS, &self.domain),
            ("find_alias", ALIASES, &self.alias),
            ("find_alias_domain", ALIAS_DOMAINS, &self.alias_domain),
        ];
        let optional =
            optional.into_iter().filter_map(|(name, section, question)| Some((name, section, question.as_ref()?)));
        [("find", ACCOUNTS, &self.find)].into_iter().chain(optional)
    }

    /// Returns the text of each statement.
    pub fn texts(&self) -> Vec<StatementText> {
        self.questions().map(|(name, _, question)| question.text(name)).chain(several(&self.find_several)).collect()
    }
}

/// Returns the column that a condition compares with the login, if it does nothing else.
fn login_column(find: &NamedSql) -> Option<&str> {
    let column = find.sql.strip_suffix("= ?")?.trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '"' | '`');
    (find.parameters == [Parameter::Login] && !column.is_empty() && column.chars().all(is_name)).then_some(column)
}

/// Returns the list of an account's columns.
fn account_columns(model: &ForeignModel, dialect: &Dialect) -> String {
    let accounts = &model.accounts;
    let field = |field: &Field| match (field, accounts.field(*field)) {
        (Field::Enabled | Field::DomainEnabled | Field::Receives, None) => "1".to_owned(),
        (_, None) => "NULL".to_owned(),
        (Field::Login, Some(sql)) => dialect.bounded(sql, Login::MAX),
        (field, Some(sql)) => match field.most_bytes() {
            Some(most) => dialect.bounded(sql, most),
            None => sql.to_owned(),
        },
    };
    // A number in this column is read as text too.
    let quota = accounts.quota.as_ref().map(|quota| dialect.as_text.replace("{}", &quota.sql));
    let quota = quota.map_or_else(|| "NULL".to_owned(), |sql| dialect.bounded(&sql, MOST_QUOTA));
    Field::READ.iter().map(field).chain([quota]).collect::<Vec<_>>().join(", ")
}
