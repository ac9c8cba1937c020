//! The tables of another program, which are read as they are.
//!
//! A [`ForeignModel`] is made from a profile (`profiles/*.toml`), the parameters and the overrides of `[schema]`, and
//! the kind of the database. It holds SQL text only; `store/sql/foreign/` builds the statements from it.

use super::Field;

/// Where the accounts, domains and aliases of another program are, and how they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignModel {
    /// Name of the profile, as in `[schema] profile`.
    pub profile: String,
    /// Name of the program that the tables belong to, such as `PostfixAdmin`.
    pub program: String,
    /// The accounts.
    pub accounts: ForeignAccounts,
    /// The domains; `None` if the tables hold none.
    pub domains: Option<DomainQuery>,
    /// The aliases; `None` if the tables hold none.
    pub aliases: Option<AliasQuery>,
    /// The alias domains; `None` if the tables hold none.
    pub alias_domains: Option<AliasDomainQuery>,
    /// The tables that the profile reads, with the columns of each that it reads. The configuration may read others.
    pub reads: Vec<TableColumns>,
    /// Columns that older versions of the program lack, as `table.column`, or tables, as `table`, and the version that
    /// has each.
    pub versions: Vec<(String, String)>,
}

impl ForeignModel {
    /// Returns true if nothing in the tables may be changed.
    pub fn is_read_only(&self) -> bool {
        self.accounts.write_password.is_none()
    }

    /// Returns the answer to a request that would change the tables.
    pub fn refusal(&self) -> String {
        let owner = match self.is_custom() {
            true => "these accounts belong to another program".to_owned(),
            false => format!("these accounts are {}'s", self.program),
        };
        format!("{owner} ([schema] profile = {:?}); change them there", self.profile)
    }

    /// Returns the place where a value of the tables is corrected, such as `in PostfixAdmin`.
    pub fn place(&self) -> String {
        match self.is_custom() {
            true => "in the program that the tables belong to".to_owned(),
            false => format!("in {}", self.program),
        }
    }

    /// Returns true if the configuration describes the tables, so that the name of their program is unknown.
    fn is_custom(&self) -> bool {
        self.profile == "custom"
    }
}

/// Where accounts are, and how one is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignAccounts {
    /// The text after `FROM`. The first table is the one with a row for each account.
    pub from: String,
    /// The condition that finds one account by its login.
    pub find: NamedSql,
    /// A further condition for every account that is found or listed.
    pub filter: Option<String>,
    /// The columns of a unique index over the first table, by which pages are read. If it is empty, accounts cannot be
    /// listed.
    pub key: Vec<String>,
    /// The expression for each of [`Field::READ`], in that order; `None` for a field that the tables lack.
    pub fields: [Option<String>; Field::READ.len()],
    /// The quota as text, if it is not in two numbers.
    pub quota: Option<QuotaText>,
    /// True if options such as `disableimap=1` take services away, as in Courier's table.
    pub options_disable_services: bool,
    /// The column of the first table that a change of a password is written to; `None` if passwords cannot be changed.
    pub write_password: Option<String>,
}

impl ForeignAccounts {
    /// Returns the expression for `field`; `None` if the tables lack it.
    pub fn field(&self, field: Field) -> Option<&str> {
        self.fields.get(field.place()?)?.as_deref()
    }
}

/// A quota in one column: text of Courier's and vpopmail's kind, such as `104857600S,1000C`, or a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaText {
    /// The expression that reads it.
    pub sql: String,
    /// True if a number without a unit counts bytes, as vpopmail reads it. To Courier it is no limit.
    pub plain_is_bytes: bool,
}

/// How a domain is found and listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainQuery {
    /// A `SELECT` of a domain's name and of 0 or 1, whether it is enabled.
    pub find: NamedSql,
    /// The same for all domains, in as many parts as there are tables that hold some; `None` if they cannot be listed.
    pub list: Option<Vec<Listing>>,
}

/// How an alias is found and listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasQuery {
    /// A `SELECT` of an alias's address and its targets; one row or several for an address.
    pub find: NamedSql,
    /// What separates the targets in one value.
    pub separator: Separator,
    /// The same for all aliases; `None` if they cannot be listed.
    pub list: Option<Vec<Listing>>,
}

/// How an alias domain is found and listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasDomainQuery {
    /// A `SELECT` of an alias domain's name and the domain that it is an alias of.
    pub find: NamedSql,
    /// The same for all alias domains; `None` if they cannot be listed.
    pub list: Option<Vec<Listing>>,
}

/// Rows of one table, read in pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The text after `FROM`. The first table is the one with the key.
    pub from: String,
    /// The condition for its rows, if not all are listed.
    pub filter: Option<String>,
    /// The two expressions of the row, the same as those of the query that finds one.
    pub columns: [String; 2],
    /// The columns of a unique index over the first table.
    pub key: Vec<String>,
}

/// What separates the targets of an alias in one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Separator {
    /// Nothing: each row has one target.
    #[default]
    None,
    /// A comma. Spaces around a target are dropped.
    Comma,
    /// White space.
    Space,
}

impl Separator {
    /// The separators by their names in the configuration.
    pub const NAMES: [(&'static str, Separator); 3] =
        [("", Separator::None), (",", Separator::Comma), ("space", Separator::Space)];

    /// Returns the separator with a name.
    pub(super) fn named(name: Option<&str>) -> Self {
        Self::NAMES.iter().find(|(known, _)| Some(*known) == name).map(|(_, separator)| *separator).unwrap_or_default()
    }
}

/// The columns of a table that are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumns {
    /// Name of the table.
    pub table: String,
    /// Names of its columns.
    pub columns: Vec<String>,
}

/// SQL text with a `?` for each parameter, and the value of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSql {
    /// The text.
    pub sql: String,
    /// The values, in the order of the question marks.
    pub parameters: Vec<Parameter>,
}

/// A named parameter of a configured statement. Each is text in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// `:login`: the whole login, `local@domain`.
    Login,
    /// `:local`: the part before the last `@`; empty for a catch-all.
    Local,
    /// `:domain`: the part after the last `@`, or the domain that is asked for.
    Domain,
    /// `:address`: the whole address, `local@domain`, or `@domain` for a catch-all.
    Address,
}

impl Parameter {
    /// Every parameter.
    pub const ALL: [Parameter; 4] = [Parameter::Login, Parameter::Local, Parameter::Domain, Parameter::Address];

    /// Returns the name, without the colon.
    pub const fn name(self) -> &'static str {
        match self {
            Parameter::Login => "login",
            Parameter::Local => "local",
            Parameter::Domain => "domain",
            Parameter::Address => "address",
        }
    }

    /// Returns the parameter with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|parameter| parameter.name() == name)
    }
}

/// The tables in the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tables {
    /// Those that `mailauth init` creates.
    #[default]
    Own,
    /// Those of another program, which are only read.
    Foreign(std::sync::Arc<ForeignModel>),
}

impl Tables {
    /// Returns the model of another program's tables; `None` for our own.
    pub fn foreign(&self) -> Option<&ForeignModel> {
        match self {
            Tables::Own => None,
            Tables::Foreign(model) => Some(model),
        }
    }

    /// Returns true if nothing in them may be changed.
    pub fn are_read_only(&self) -> bool {
        self.foreign().is_some_and(ForeignModel::is_read_only)
    }
}
