//! The table model as data: which table and which column holds what.
//!
//! Every query is built from a [`TableModel`] and the dialect of the database; no other module names a table or a column.
//! A column that is read is an SQL expression, so that a model may stand on other people's tables: a constant, a join,
//! a calculation. A column that is written is a name, and a field without one cannot be written. Expressions must not
//! hold a question mark, which stands for a parameter.

/// A field of an account's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `local@domain`.
    Login,
    /// The stored password.
    Password,
    /// 0 or 1.
    Enabled,
    /// The same of its domain.
    DomainEnabled,
    /// List of services.
    Services,
    /// System user id.
    Uid,
    /// System group id.
    Gid,
    /// Home directory.
    Home,
    /// Path of the Maildir.
    Maildir,
    /// Most bytes.
    QuotaBytes,
    /// Most messages.
    QuotaMessages,
    /// The person's name.
    Name,
    /// Courier's account options.
    Options,
    /// 0 or 1: whether it receives mail.
    Receives,
    /// The domain alone.
    Domain,
    /// When the row was made.
    Created,
    /// When the row was last changed.
    Updated,
    /// When the password was last changed.
    PasswordChanged,
}

impl Field {
    /// What a look-up reads, in this order.
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

    /// The most bytes of a text that is read as this field; a longer one makes its row unusable. `None` for numbers, and for
    /// the login, which has a bound of its own. The columns of our own tables hold fewer.
    pub const fn most_bytes(self) -> Option<usize> {
        match self {
            Field::Password | Field::Home | Field::Maildir => Some(4096),
            Field::Services | Field::Name => Some(1024),
            Field::Options => Some(8192),
            _ => None,
        }
    }

    /// The times of a row, in this order.
    pub const TIMES: [Field; 3] = [Field::Created, Field::Updated, Field::PasswordChanged];

    /// Its name: in messages, and the name of the column in our own tables.
    pub const fn name(self) -> &'static str {
        match self {
            Field::Login => "login",
            Field::Password => "password",
            Field::Enabled => "enabled",
            Field::DomainEnabled => "domain_enabled",
            Field::Services => "services",
            Field::Uid => "uid",
            Field::Gid => "gid",
            Field::Home => "home",
            Field::Maildir => "maildir",
            Field::QuotaBytes => "quota_bytes",
            Field::QuotaMessages => "quota_messages",
            Field::Name => "name",
            Field::Options => "options",
            Field::Receives => "receives",
            Field::Domain => "domain",
            Field::Created => "created_at",
            Field::Updated => "updated_at",
            Field::PasswordChanged => "password_changed_at",
        }
    }
}

/// How one field of an account is had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// SQL expression over [`Accounts::from`].
    pub read: String,
    /// Column of [`Accounts::table`], where the field can be written.
    pub write: Option<String>,
}

/// Where accounts are.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// What is read: what stands after `FROM`.
    pub from: String,
    /// The tables that reading needs the right to.
    pub reads: Vec<String>,
    /// The table that is written.
    pub table: String,
    /// Its index that begins with the domain and the login.
    pub by_domain: String,
    /// Its index that begins with the time of the last change and the login.
    pub by_update: String,
    columns: Vec<Column>,
}

impl Accounts {
    /// How `field` is had.
    pub fn column(&self, field: Field) -> &Column {
        // One column for each field, in the order of the enum: see `TableModel::own`.
        &self.columns[field as usize]
    }

    /// The expression that reads `field`.
    pub fn read(&self, field: Field) -> &str {
        &self.column(field).read
    }
}

/// Where domains are.
#[derive(Clone, Debug)]
pub struct Domains {
    /// Table.
    pub table: String,
    /// Column: the name.
    pub name: String,
    /// Column: 0 or 1.
    pub enabled: String,
    /// Column: for people.
    pub description: String,
    /// Column: most bytes of its mailboxes together.
    pub quota_bytes: String,
    /// Column: most messages of its mailboxes together.
    pub quota_messages: String,
    /// Column: 0 or 1: whether this host is only a backup MX of it.
    pub backup: String,
    /// Column: when the row was last changed.
    pub updated: String,
    /// The index that begins with that and the name.
    pub by_update: String,
}

/// Where it stands what the mailboxes of domains with a quota hold: one row for each mailbox that has published it.
#[derive(Clone, Debug)]
pub struct Uses {
    /// Table.
    pub table: String,
    /// Column: whose mailbox.
    pub login: String,
    /// Column: the domain alone.
    pub domain: String,
    /// Column: bytes.
    pub bytes: String,
    /// Column: messages.
    pub messages: String,
    /// Column: when that was published.
    pub measured: String,
    /// The index that begins with the domain and the login.
    pub by_domain: String,
}

/// Where the sums of [`Uses`] are: one row for each domain of which a mailbox has published.
#[derive(Clone, Debug)]
pub struct Sums {
    /// Table.
    pub table: String,
    /// Column: the domain.
    pub domain: String,
    /// Column: bytes.
    pub bytes: String,
    /// Column: messages.
    pub messages: String,
    /// Column: how many mailboxes have published.
    pub mailboxes: String,
}

/// Where aliases are: one row for each target of an address.
#[derive(Clone, Debug)]
pub struct Aliases {
    /// Table.
    pub table: String,
    /// Column: `local@domain` or `@domain`.
    pub address: String,
    /// Column: the domain alone.
    pub domain: String,
    /// Column: where its mail goes.
    pub target: String,
    /// Column: the order of an address's targets.
    pub position: String,
    /// Column: when the row was last changed.
    pub updated: String,
    /// The index that begins with the domain, the address and the target.
    pub by_domain: String,
    /// The index that begins with the time of the last change, the address and the target.
    pub by_update: String,
}

/// Where the domains are that are other names of one.
#[derive(Clone, Debug)]
pub struct AliasDomains {
    /// Table.
    pub table: String,
    /// Column: the name.
    pub name: String,
    /// Column: the domain whose other name it is.
    pub target: String,
    /// Column: 0 or 1.
    pub enabled: String,
    /// Column: when the row was last changed.
    pub updated: String,
    /// The index that begins with the target and the name.
    pub by_target: String,
    /// The index that begins with the time of the last change and the name.
    pub by_update: String,
}

/// Where the version of the schema is: the largest in the table counts.
#[derive(Clone, Debug)]
pub struct Versions {
    /// Table.
    pub table: String,
    /// Column: the version.
    pub version: String,
}

/// Which table and which column holds what.
#[derive(Clone, Debug)]
pub struct TableModel {
    /// Accounts.
    pub accounts: Accounts,
    /// Domains.
    pub domains: Domains,
    /// Aliases.
    pub aliases: Aliases,
    /// Domains that are other names of one.
    pub alias_domains: AliasDomains,
    /// What mailboxes hold.
    pub uses: Uses,
    /// What they hold together.
    pub sums: Sums,
    /// The version of the schema.
    pub versions: Versions,
}

impl TableModel {
    /// Our own tables, as `schema/*.sql` creates them.
    pub fn own() -> Self {
        let own = |field: Field| match field {
            // Not by a join: the rows of accounts are then read in the order of their index, whatever the database thinks.
            Field::DomainEnabled => {
                Column { read: "(SELECT d.enabled FROM domains d WHERE d.name = a.domain)".into(), write: None }
            }
            field => Column { read: format!("a.{}", field.name()), write: Some(field.name().into()) },
        };
        let all = Field::READ.into_iter().chain([Field::Domain]).chain(Field::TIMES);
        TableModel {
            accounts: Accounts {
                from: "accounts a".into(),
                reads: vec!["accounts".into(), "domains".into()],
                table: "accounts".into(),
                by_domain: "accounts_by_domain".into(),
                by_update: "accounts_by_update".into(),
                columns: all.map(own).collect(),
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
        for field in Field::READ.into_iter().chain([Field::Domain]).chain(Field::TIMES) {
            let column = model.accounts.column(field);
            match field {
                Field::DomainEnabled => assert!(column.read.contains("d.enabled") && column.write.is_none()),
                _ => assert_eq!(column.read, format!("a.{}", field.name())),
            }
        }
    }
}
