//! The table model as data: which table and which column holds what.
//!
//! Every query of the database is built from a [`TableModel`] and the database's dialect, in `store/sql/statements.rs`.
//! A column that is read is an SQL expression, so that a model can describe other software's tables: a constant, a join,
//! or a calculation. A column that is written is a name, and a field without one cannot be written. Expressions must not
//! contain a question mark, which marks a parameter.
//!
//! Apart from this file and `schema/*.sql`, which creates our own tables, their names are in two places:
//!
//! - messages about a value that cannot be used name its column: `store/sql/rows.rs`, `store/sql/alias_domains.rs` and
//!   `store/sql/standing.rs`;
//! - the snapshot's file has tables of its own with the same names, which are read by our model:
//!   `store/snapshot/layout.rs`, and the number of accounts in `store/snapshot/copy.rs`.

mod assemble;
mod foreign;
mod named;
mod overrides;
mod parameters;
mod profile;
pub mod references;
mod settings;
mod terms;
mod text;

pub(crate) use assemble::assemble;
pub use foreign::{
    AliasDomainQuery, AliasQuery, DomainQuery, ForeignAccounts, ForeignModel, Listing, NamedSql, Parameter, QuotaText,
    Separator, TableColumns, Tables,
};
pub use parameters::{ParameterKind, ProfileParameter};
pub use profile::{CUSTOM, DatabaseKind, OWN, Profile};
pub(crate) use settings::ACCOUNT_KEYS;
pub use settings::{SchemaConfig, SchemaFault, Setting};

/// Defines [`Field`] from one list of fields and their names.
macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident = $name:literal,)*) => {
        /// A field of an account's row.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field {
            $($(#[$doc])* $field,)*
        }

        impl Field {
            /// Every field, in the order of the enum: `ALL[field as usize]` is `field`.
            pub const ALL: [Field; [$($name),*].len()] = [$(Field::$field),*];

            /// Returns the field's name in messages, which is also the name of the column in our own tables.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Field::$field => $name,)*
                }
            }
        }
    };
}

fields! {
    /// The login, `local@domain`.
    Login = "login",
    /// The stored password.
    Password = "password",
    /// Whether the account is enabled: 0 or 1.
    Enabled = "enabled",
    /// Whether the account's domain is enabled: 0 or 1.
    DomainEnabled = "domain_enabled",
    /// List of the permitted services.
    Services = "services",
    /// System user id.
    Uid = "uid",
    /// System group id.
    Gid = "gid",
    /// Path of the home directory.
    Home = "home",
    /// Path of the Maildir.
    Maildir = "maildir",
    /// Maximum number of bytes.
    QuotaBytes = "quota_bytes",
    /// Maximum number of messages.
    QuotaMessages = "quota_messages",
    /// The person's name.
    Name = "name",
    /// Courier's account options.
    Options = "options",
    /// Whether the account receives mail: 0 or 1.
    Receives = "receives",
    /// The domain part of the login.
    Domain = "domain",
    /// Time at which the row was created.
    Created = "created_at",
    /// Time at which the row was last changed.
    Updated = "updated_at",
    /// Time at which the password was last changed.
    PasswordChanged = "password_changed_at",
}

impl Field {
    /// The fields that a look-up reads, in the order of its columns.
    pub const READ: [Field; 14] = [
        Field::Login,
        Field::Password,
        Field::Enabled,
        Field::DomainEnabled,
        Field::Services,
        Field::Uid,
        Field::Gid,
        Field::Home,
        Field::Maildir,
        Field::QuotaBytes,
        Field::QuotaMessages,
        Field::Name,
        Field::Options,
        Field::Receives,
    ];

    /// The place of each field of [`Field::ALL`] in [`Field::READ`].
    const PLACES: [Option<usize>; Field::ALL.len()] = {
        let (mut places, mut index) = ([None; Field::ALL.len()], 0);
        while index < Field::READ.len() {
            places[Field::READ[index] as usize] = Some(index);
            index += 1;
        }
        places
    };

    /// Returns the column of a look-up that has this field; `None` if a look-up does not read it.
    pub const fn place(self) -> Option<usize> {
        Field::PLACES[self as usize]
    }

    /// The times of a row, in the order of the columns that are read.
    pub const TIMES: [Field; 3] = [Field::Created, Field::Updated, Field::PasswordChanged];

    /// Returns the maximum number of bytes of a text that is read as this field; a longer one makes its row unusable.
    /// Returns `None` for numbers, and for the login, which has a limit of its own. The columns of our own tables hold
    /// fewer.
    pub const fn most_bytes(self) -> Option<usize> {
        match self {
            Field::Password | Field::Home | Field::Maildir => Some(4096),
            Field::Services | Field::Name => Some(1024),
            Field::Options => Some(8192),
            _ => None,
        }
    }
}

/// How one account field is read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// SQL expression over [`Accounts::from`].
    pub read: String,
    /// Column of [`Accounts::table`], if the field can be written.
    pub write: Option<String>,
}

/// Where accounts are stored.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The text after `FROM` in queries that read accounts.
    pub from: String,
    /// The tables that the user must have the right to read.
    pub reads: Vec<String>,
    /// The table that is written.
    pub table: String,
    /// Its index that begins with the domain and the login.
    pub by_domain: String,
    /// Its index that begins with the time of the last change and the login.
    pub by_update: String,
    /// One for each of [`Field::ALL`].
    columns: [Column; Field::ALL.len()],
}

impl Accounts {
    /// Returns how `field` is read and written.
    pub fn column(&self, field: Field) -> &Column {
        &self.columns[field as usize]
    }

    /// Returns the expression that reads `field`.
    pub fn read(&self, field: Field) -> &str {
        &self.column(field).read
    }
}

/// Where domains are stored.
#[derive(Clone, Debug)]
pub struct Domains {
    /// Name of the table.
    pub table: String,
    /// Column of the name.
    pub name: String,
    /// Column of 0 or 1: whether the domain is enabled.
    pub enabled: String,
    /// Column of the description for people.
    pub description: String,
    /// Column of the maximum number of bytes of all its mailboxes together.
    pub quota_bytes: String,
    /// Column of the maximum number of messages of all its mailboxes together.
    pub quota_messages: String,
    /// Column of 0 or 1: whether this host is only a backup MX of the domain.
    pub backup: String,
    /// Column of the time at which the row was last changed.
    pub updated: String,
    /// The index that begins with that time and the name.
    pub by_update: String,
}

/// Where the usage of mailboxes is stored, for domains with a quota: one row for each mailbox that has published its
/// usage.
#[derive(Clone, Debug)]
pub struct Uses {
    /// Name of the table.
    pub table: String,
    /// Column of the login that the mailbox belongs to.
    pub login: String,
    /// Column of the domain part of the login.
    pub domain: String,
    /// Column of the bytes that the mailbox holds.
    pub bytes: String,
    /// Column of the messages that the mailbox holds.
    pub messages: String,
    /// Column of the time at which the usage was published.
    pub measured: String,
    /// The index that begins with the domain and the login.
    pub by_domain: String,
}

/// Where the sums of [`Uses`] are stored: one row for each domain of which a mailbox has published its usage.
#[derive(Clone, Debug)]
pub struct Sums {
    /// Name of the table.
    pub table: String,
    /// Column of the domain.
    pub domain: String,
    /// Column of the bytes in all mailboxes.
    pub bytes: String,
    /// Column of the messages in all mailboxes.
    pub messages: String,
    /// Column of the number of mailboxes that have published their usage.
    pub mailboxes: String,
}

/// Where aliases are stored: one row for each target of an address.
#[derive(Clone, Debug)]
pub struct Aliases {
    /// Name of the table.
    pub table: String,
    /// Column of the address, `local@domain` or `@domain`.
    pub address: String,
    /// Column of the domain part of the address.
    pub domain: String,
    /// Column of the address to which the mail goes.
    pub target: String,
    /// Column of the position among the address's targets.
    pub position: String,
    /// Column of the time at which the row was last changed.
    pub updated: String,
    /// The index that begins with the domain, the address and the target.
    pub by_domain: String,
    /// The index that begins with the time of the last change, the address and the target.
    pub by_update: String,
}

/// Where alias domains are stored.
#[derive(Clone, Debug)]
pub struct AliasDomains {
    /// Name of the table.
    pub table: String,
    /// Column of the alias domain's name.
    pub name: String,
    /// Column of the domain that it is an alias of.
    pub target: String,
    /// Column of 0 or 1: whether the alias domain is enabled.
    pub enabled: String,
    /// Column of the time at which the row was last changed.
    pub updated: String,
    /// The index that begins with the target and the name.
    pub by_target: String,
    /// The index that begins with the time of the last change and the name.
    pub by_update: String,
}

/// Where the version of the schema is stored: the largest number in the table counts.
#[derive(Clone, Debug)]
pub struct Versions {
    /// Name of the table.
    pub table: String,
    /// Column of the version.
    pub version: String,
}

/// The tables and columns of a database, and what they hold.
#[derive(Clone, Debug)]
pub struct TableModel {
    /// Tables and columns of accounts.
    pub accounts: Accounts,
    /// Table and columns of domains.
    pub domains: Domains,
    /// Table and columns of aliases.
    pub aliases: Aliases,
    /// Table and columns of alias domains.
    pub alias_domains: AliasDomains,
    /// Table and columns of each mailbox's usage.
    pub uses: Uses,
    /// Table and columns of each domain's usage.
    pub sums: Sums,
    /// Table and column of the version of the schema.
    pub versions: Versions,
}

impl TableModel {
    /// Returns the model of our own tables, as `schema/*.sql` creates them.
    pub fn own() -> Self {
        let own = |field: Field| match field {
            // Not read by a join, so that every database reads accounts in the order of their index.
            Field::DomainEnabled => {
                Column { read: "(SELECT d.enabled FROM domains d WHERE d.name = a.domain)".into(), write: None }
            }
            field => Column { read: format!("a.{}", field.name()), write: Some(field.name().into()) },
        };
        TableModel {
            accounts: Accounts {
                from: "accounts a".into(),
                reads: vec!["accounts".into(), "domains".into()],
                table: "accounts".into(),
                by_domain: "accounts_by_domain".into(),
                by_update: "accounts_by_update".into(),
                columns: Field::ALL.map(own),
            },
            domains: Domains {
                table: "domains".into(),
                name: "name".into(),
                enabled: "enabled".into(),
                description: "description".into(),
                quota_bytes: "quota_bytes".into(),
                quota_messages: "quota_messages".into(),
                backup: "backup".into(),
                updated: "updated_at".into(),
                by_update: "domains_by_update".into(),
            },
            aliases: Aliases {
                table: "aliases".into(),
                address: "address".into(),
                domain: "domain".into(),
                target: "target".into(),
                position: "position".into(),
                updated: "updated_at".into(),
                by_domain: "aliases_by_domain".into(),
                by_update: "aliases_by_update".into(),
            },
            alias_domains: AliasDomains {
                table: "alias_domains".into(),
                name: "name".into(),
                target: "target".into(),
                enabled: "enabled".into(),
                updated: "updated_at".into(),
                by_target: "alias_domains_by_target".into(),
                by_update: "alias_domains_by_update".into(),
            },
            uses: Uses {
                table: "mailbox_use".into(),
                login: "login".into(),
                domain: "domain".into(),
                bytes: "bytes".into(),
                messages: "messages".into(),
                measured: "measured_at".into(),
                by_domain: "mailbox_use_by_domain".into(),
            },
            sums: Sums {
                table: "domain_use".into(),
                domain: "domain".into(),
                bytes: "bytes".into(),
                messages: "messages".into(),
                mailboxes: "mailboxes".into(),
            },
            versions: Versions { table: "schema_version".into(), version: "version".into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_own_column() {
        let model = TableModel::own();
        for field in Field::ALL {
            let column = model.accounts.column(field);
            match field {
                Field::DomainEnabled => assert!(column.read.contains("d.enabled") && column.write.is_none()),
                _ => assert_eq!(column.read, format!("a.{}", field.name())),
            }
        }
    }

    #[test]
    fn every_field_that_is_read_knows_its_column() {
        for (index, field) in Field::READ.into_iter().enumerate() {
            assert_eq!(field.place(), Some(index), "{field:?}");
        }
        assert_eq!(Field::Domain.place(), None);
    }
}
