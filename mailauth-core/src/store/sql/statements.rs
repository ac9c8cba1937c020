//! Every statement, built once from the table model and the dialect.

use super::SqlStore;
use super::columns::{AliasColumn, AliasDomainColumn, DomainColumn, QuotaColumn, StandingColumn, SumColumn, UseColumn};
use super::finding::FindSeveral;
use crate::schema::{Field, TableModel};
use crate::store::driver::{Dialect, Statement};

/// Meaning of a statement's parameter, enough to give it a value that the tables might hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// The login of an account.
    Login,
    /// The name of a domain.
    Domain,
    /// The address of an alias.
    Address,
    /// The target of an alias.
    Target,
    /// A time of the database, as text.
    Time,
    /// Any other text.
    Text,
    /// Any other number.
    Number,
    /// Maximum number of rows to read.
    Limit,
}

/// Defines [`Statements`], and the list of its statements with the kinds of their parameters.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident($($kind:ident),*),)*) => {
        /// The statements that are kept prepared, and the parts from which others are built.
        pub(in crate::store) struct Statements {
            $($(#[$doc])* pub $name: Statement,)*
            /// Return the fields of [`Field::READ`] and the domain of several logins.
            pub find_several: FindSeveral,
            /// Parts of a statement that adds any number of accounts: its beginning, the text for each account, its
            /// end.
            pub add_some: [String; 3],
            /// Parts of a statement that finds which of several logins exist, in the same order.
            pub find_some: [String; 3],
            /// Parts of a statement that returns the fields of [`Field::READ`] and the domain of several logins.
            pub find_rows: [String; 3],
            /// Beginning of the change of an account, `UPDATE ... SET updated = now`, to which columns are added.
            pub set_account: String,
            /// End of the same statement, ` WHERE ...`, with the parameters `(login, login)`.
            pub of_account: String,
        }

        impl Statements {
            /// Returns the number of kept statements, which is the first free slot.
            pub(in crate::store) fn count(&self) -> usize {
                [$(stringify!($name)),*].len() + FindSeveral::COUNTS.len()
            }

            /// Returns the name, the text and the kinds of parameters of every kept statement.
            fn kept(&self) -> Vec<(&'static str, &str, Vec<ParameterKind>)> {
                vec![$((stringify!($name), self.$name.sql.as_str(), vec![$(ParameterKind::$kind),*]),)*]
            }
        }
    };
}

// The kinds of parameters follow each name. Statements that add accounts have the columns of a row as parameters.
// Comments of the form `(a, b)` list the parameters.
statements! {
    /// Returns the fields of [`Field::READ`] and the domain.
    find(Login),
    /// Returns the same for the first accounts.
    first_page(Limit),
    /// Returns the same for the logins after that one.
    next_page(Login, Limit),
    /// Returns the same for one domain, which is given twice.
    domain_accounts_page(Domain, Domain, Login, Limit),
    /// Returns the same and the time of the change as text, in the order of time and login, for accounts that were
    /// changed after that time, or at that time and have a login after that one. The time is given twice.
    changed_page(Time, Time, Login, Limit),
    /// Returns name, enabled, bytes and messages of the quota, backup, and the time of the change, in the order of time
    /// and name, for domains that were changed in the same way.
    changed_domains(Time, Time, Domain, Limit),
    /// Returns address, target, position, and the time of the change, in the order of time, address and target, for
    /// aliases that were changed after that time, or at that time and have an address and target after those. The time
    /// and the address are given twice.
    changed_aliases(Time, Time, Address, Address, Target, Limit),
    /// Returns the time of the database, as text.
    time(),
    /// Returns name, enabled, bytes and messages of the quota, backup, and description, for the names after that one.
    domain_page(Domain, Limit),
    /// Returns name, enabled, bytes and messages of the quota, and backup.
    copied_domain(Domain),
    /// Returns address, target and position after that address and target. The address is given twice.
    alias_page(Address, Address, Target, Limit),
    /// Returns the same for one domain, which is given twice.
    domain_alias_page(Domain, Domain, Address, Address, Target, Limit),
    /// Replaces a password: `(new, login, login, old)`.
    set_password(Text, Login, Login, Text),
    /// Returns the version of the schema.
    version(),
    /// Returns how many tables have this name.
    table_exists(Text),
    /// Returns the number of accounts after that login, at most the limit, and the last one's login.
    count_accounts(Login, Limit),
    /// Returns the same for one domain, which is given twice.
    count_domain_accounts(Domain, Domain, Login, Limit),
    /// Returns the texts of [`Field::TIMES`], and the login.
    times(Login),
    /// Adds an account: the values of [`INSERTED`] in their order, then 1 if there is a password, otherwise 0.
    add_account(),
    /// Adds [`BATCH`] accounts, with the same values for each, one after the other.
    add_accounts(),
    /// Removes an account, whose login is given twice.
    remove_account(Login, Login),
    /// Renames an account: `(new login, its domain, old login, old login)`.
    rename_account(Login, Domain, Login, Login),
    /// Changes a target: `(new target, address, old target, address, old target)`.
    set_target(Target, Address, Target, Address, Target),
    /// Removes what a mailbox published.
    remove_use(Login),
    /// Returns name, enabled, backup, target, and 1 for an alias domain, otherwise 0. The name is given twice.
    find_domain(Domain, Domain),
    /// Returns name, enabled, bytes and messages of the quota, backup, and description.
    whole_domain(Domain),
    /// Adds a domain: `(name, enabled, description, bytes, messages, backup)`.
    add_domain(Domain, Number, Text, Number, Number, Number),
    /// Changes a domain: `(enabled, description, bytes, messages, backup, name)`.
    set_domain(Number, Text, Number, Number, Number, Domain),
    /// Removes a domain that has no accounts and aliases.
    remove_domain(Domain),
    /// Removes the accounts of a domain up to this login.
    remove_domain_accounts(Domain, Login),
    /// Removes the aliases of a domain up to this address.
    remove_domain_aliases(Domain, Address),
    /// Returns address, target and position.
    find_alias(Address, Limit),
    /// Returns the same for two addresses.
    find_aliases(Address, Address, Limit),
    /// Adds a target: `(address, domain, target, position)`.
    add_alias(Address, Domain, Target, Number),
    /// Removes an alias, whose address is given twice.
    remove_alias(Address, Address),
    /// Removes a target: `(address, target, address, target)`.
    remove_target(Address, Target, Address, Target),
    /// Returns the names of some alias domains of a domain.
    other_names(Domain, Limit),
    /// Makes a name an alias of a domain: `(domain, alias domain)`.
    set_other_name(Domain, Domain),
    /// Returns name, target and enabled of the alias domains after that one.
    alias_domain_page(Domain, Limit),
    /// Returns the same for one alias domain.
    copied_alias_domain(Domain),
    /// Returns the same and the time of the change, in the order of time and name, as for domains.
    changed_alias_domains(Time, Time, Domain, Limit),
    /// Returns the names of the alias domains of one domain, which is given twice, after that one.
    alias_domains_of(Domain, Domain, Domain, Limit),
    /// Adds an alias domain: `(name, target, enabled)`.
    add_alias_domain(Domain, Domain, Number),
    /// Changes an alias domain: `(target, enabled, name)`.
    set_alias_domain(Domain, Number, Domain),
    /// Removes an alias domain.
    remove_alias_domain(Domain),
    /// Removes the alias domains of a domain up to this name.
    remove_alias_domains_of(Domain, Domain),
    /// Returns bytes and messages of the domain's quota.
    pool_limits(Domain),
    /// Returns bytes, messages and number of the domain's mailboxes.
    pool_use(Domain),
    /// Returns the bytes and messages that this mailbox published.
    find_use(Login),
    /// Returns login, bytes and messages of the mailboxes of a domain, which is given twice.
    uses_page(Domain, Domain, Login, Limit),
    /// Replaces what a mailbox published: `(bytes, messages, login, old bytes, old messages)`.
    set_use(Number, Number, Login, Number, Number),
    /// Adds what a mailbox published: `(login, domain, bytes, messages)`.
    add_use(Login, Domain, Number, Number),
    /// Adds to bytes, messages and number of a domain's mailboxes, starting from 0 if it has no sum yet.
    add_to_sum(Domain, Number, Number, Number),
    /// Replaces a domain's sum: `(bytes, messages, number of mailboxes, domain)`.
    set_sum(Number, Number, Number, Domain),
}

/// The columns that are written for a new account, in this order.
pub(in crate::store) const INSERTED: [Field; 14] = [
    Field::Login,
    Field::Domain,
    Field::Password,
    Field::Enabled,
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

/// Maximum number of bytes of an alias's target, when mail asks for it, and of a domain's description.
pub(in crate::store) const MOST_TARGET: usize = 1024;
pub(in crate::store) const MOST_DESCRIPTION: usize = 8192;

/// Number of accounts that an import adds with one statement: enough that the round trip to the server does not matter,
/// and far below the number of parameters that any database allows.
pub(in crate::store) const BATCH: usize = 500;

/// A statement that a store runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementText {
    /// Name of the statement in this program.
    pub name: &'static str,
    /// Text of the statement, with the placeholders of its database.
    pub sql: String,
    /// Kinds of the parameters; empty for statements that add accounts, which take the columns of a row.
    pub parameters: Vec<ParameterKind>,
}

impl SqlStore {
    /// Returns every statement that is run, so that it can be checked how the database finds its rows.
    pub fn statements(&self) -> Vec<StatementText> {
        if let Some(foreign) = &self.foreign {
            return foreign.statements.texts().into_iter().chain(foreign.lists.texts()).collect();
        }
        let kept = self.statements.kept().into_iter();
        let mut all: Vec<_> =
            kept.map(|(name, sql, parameters)| StatementText { name, sql: sql.to_owned(), parameters }).collect();
        let Statements { set_account, of_account, .. } = &self.statements;
        let changed = self.model.accounts.column(Field::Enabled).write.as_deref().unwrap_or_default();
        all.extend(several(&self.statements.find_several));
        all.push(StatementText {
            name: "find_some",
            sql: self.sized(&self.statements.find_some, 3).sql,
            parameters: vec![ParameterKind::Login; 3],
        });
        all.push(StatementText {
            name: "find_rows",
            sql: self.sized(&self.statements.find_rows, 3).sql,
            parameters: vec![ParameterKind::Login; 3],
        });
        all.push(StatementText {
            name: "set_account",
            sql: self.dialect().placeholders(&format!("{set_account}, {changed} = ?{of_account}")),
            parameters: vec![ParameterKind::Number, ParameterKind::Login, ParameterKind::Login],
        });
        all
    }
}

/// Returns the text of the largest statement that finds several accounts.
pub(super) fn several(find_several: &FindSeveral) -> Option<StatementText> {
    let (sql, count) = find_several.largest()?;
    Some(StatementText { name: "find_several", sql: sql.to_owned(), parameters: vec![ParameterKind::Login; count] })
}

impl Statements {
    pub(in crate::store) fn new(model: &TableModel, dialect: &Dialect) -> Self {
        let mut slots = 0..;
        let mut kept = |sql: String| Statement { slot: slots.next(), sql: dialect.placeholders(&sql) };
        let same = |column: &str| dialect.same_bytes.replace("{}", column);
        let now = dialect.now;
        let (accounts, domains, aliases, versions) = (&model.accounts, &model.domains, &model.aliases, &model.versions);
        let (uses, sums) = (&model.uses, &model.sums);
        let others = &model.alias_domains;
        let (o, o_name, o_target, o_enabled) = (&others.table, &others.name, &others.target, &others.enabled);
        let o_updated = &others.updated;

        let login = accounts.read(Field::Login);
        let from = &accounts.from;
        let whole = |field: &Field| match field.most_bytes() {
            Some(most) => dialect.bounded(accounts.read(*field), most),
            None => accounts.read(*field).to_owned(),
        };
        let fields = Field::READ.iter().map(whole).collect::<Vec<_>>().join(", ");
        let row = format!("{fields}, {}", accounts.read(Field::Domain));
        let time = |field: &Field| dialect.time_text.replace("{}", accounts.read(*field));
        let times = Field::TIMES.iter().map(time).collect::<Vec<_>>().join(", ");

        let table = &accounts.table;
        // A model without one of these cannot be written; its database says so when that is tried.
        let write = |field: Field| accounts.column(field).write.as_deref().unwrap_or("not_writable");
        let written = write(Field::Login);
        // The first comparison finds the row by its index, the second makes it independent of the collation.
        let of_account = format!(" WHERE {written} = ? AND {}", same(written));
        let inserted = INSERTED.map(write).join(", ");
        let changed = write(Field::PasswordChanged);
        let insert = format!("INSERT INTO {table} ({inserted}, {changed}) VALUES");
        let values = format!("({}, CASE WHEN ? = 1 THEN {now} END)", vec!["?"; INSERTED.len()].join(", "));

        let (d, d_name, d_enabled) = (&domains.table, &domains.name, &domains.enabled);
        let (al, address, target, position) = (&aliases.table, &aliases.address, &aliases.target, &aliases.position);
        let (d_text, d_updated, al_domain) = (&domains.description, &domains.updated, &aliases.domain);
        let (d_bytes, d_messages, d_backup) = (&domains.quota_bytes, &domains.quota_messages, &domains.backup);
        let (u, u_login, u_domain, u_measured) = (&uses.table, &uses.login, &uses.domain, &uses.measured);
        let (u_bytes, u_messages) = (&uses.bytes, &uses.messages);
        let sum_column = |column| match column {
            SumColumn::Bytes => &sums.bytes,
            SumColumn::Messages => &sums.messages,
            SumColumn::Mailboxes => &sums.mailboxes,
        };
        let summed = SumColumn::select(sum_column);
        let added = SumColumn::select(|column| {
            let (column, table) = (sum_column(column), &sums.table);
            let sum = dialect.added.replace("{old}", &format!("{table}.{column}")).replace("{column}", column);
            format!("{column} = {sum}")
        });
        let of_domain = write(Field::Domain);
        let (account_updated, account_domain) = (accounts.read(Field::Updated), accounts.read(Field::Domain));
        let a_updated = &aliases.updated;
        let text = |column: &str| dialect.time_text.replace("{}", column);
        let after = |columns: &[&str]| dialect.after(columns);
        let since = |columns: &[&str]| dialect.since(columns);
        let by = |index: &str| dialect.by_index.replace("{}", index);
        let count =
            |those: &str| format!("SELECT COUNT(*), MAX(login) FROM (SELECT {written} AS login {those} LIMIT ?) page");
        let alias = AliasColumn::select(|column| match column {
            AliasColumn::Address => address,
            AliasColumn::Target => target,
            AliasColumn::Position => position,
        });
        // Pages continue after their last row's target, which must be unchanged for that; these need not.
        let short_alias = AliasColumn::select(|column| match column {
            AliasColumn::Address => address.clone(),
            AliasColumn::Target => dialect.bounded(target, MOST_TARGET),
            AliasColumn::Position => position.clone(),
        });
        let domain_column = |column| match column {
            DomainColumn::Name => d_name.clone(),
            DomainColumn::Enabled => d_enabled.clone(),
            DomainColumn::QuotaBytes => d_bytes.clone(),
            DomainColumn::QuotaMessages => d_messages.clone(),
            DomainColumn::Backup => d_backup.clone(),
            DomainColumn::Description => dialect.bounded(d_text, MOST_DESCRIPTION),
        };
        let domain = DomainColumn::select_first(DomainColumn::WITHOUT_DESCRIPTION, domain_column);
        let whole_domain = DomainColumn::select(domain_column);
        let own_standing = StandingColumn::select(|column| match column {
            StandingColumn::Name => d_name,
            StandingColumn::Enabled => d_enabled,
            StandingColumn::Backup => d_backup,
            StandingColumn::Target => "NULL",
            StandingColumn::IsAlias => "0",
        });
        let alias_standing = StandingColumn::select(|column| match column {
            StandingColumn::Name => o_name,
            StandingColumn::Enabled => o_enabled,
            StandingColumn::Backup => "0",
            StandingColumn::Target => o_target,
            StandingColumn::IsAlias => "1",
        });
        let other = AliasDomainColumn::select(|column| match column {
            AliasDomainColumn::Name => o_name,
            AliasDomainColumn::Target => o_target,
            AliasDomainColumn::Enabled => o_enabled,
        });
        let use_row = UseColumn::select(|column| match column {
            UseColumn::Login => u_login,
            UseColumn::Bytes => u_bytes,
            UseColumn::Messages => u_messages,
        });
        let quota = QuotaColumn::select(|column| match column {
            QuotaColumn::Bytes => d_bytes,
            QuotaColumn::Messages => d_messages,
        });

        Statements {
            find: kept(format!("SELECT {row} FROM {from} WHERE {login} = ?")),
            first_page: kept(format!("SELECT {row} FROM {from} ORDER BY {login} LIMIT ?")),
            next_page: kept(format!("SELECT {row} FROM {from} WHERE {login} > ? ORDER BY {login} LIMIT ?")),
            domain_accounts_page: kept(format!(
                "SELECT {row} FROM {from}{} WHERE {} ORDER BY {account_domain}, {login} LIMIT ?",
                by(&accounts.by_domain),
                dialect.within(account_domain, &[login])
            )),
            changed_page: kept(format!(
                "SELECT {row}, {} FROM {from}{} WHERE {} ORDER BY {account_updated}, {login} LIMIT ?",
                text(account_updated),
                by(&accounts.by_update),
                since(&[account_updated, login]),
            )),
            changed_domains: kept(format!(
                "SELECT {domain}, {} FROM {d}{} WHERE {} ORDER BY {d_updated}, {d_name} LIMIT ?",
                text(d_updated),
                by(&domains.by_update),
                since(&[d_updated, d_name]),
            )),
            changed_aliases: kept(format!(
                "SELECT {alias}, {} FROM {al}{} WHERE {} ORDER BY {a_updated}, {address}, {target} LIMIT ?",
                text(a_updated),
                by(&aliases.by_update),
                since(&[a_updated, address, target]),
            )),
            time: kept(format!("SELECT {}", text(now))),
            domain_page: kept(format!("SELECT {whole_domain} FROM {d} WHERE {d_name} > ? ORDER BY {d_name} LIMIT ?")),
            copied_domain: kept(format!("SELECT {domain} FROM {d} WHERE {d_name} = ?")),
            alias_page: kept(format!(
                "SELECT {alias} FROM {al} WHERE {} ORDER BY {address}, {target} LIMIT ?",
                after(&[address, target])
            )),
            domain_alias_page: kept(format!(
                "SELECT {alias} FROM {al}{} WHERE {} ORDER BY {al_domain}, {address}, {target} LIMIT ?",
                by(&aliases.by_domain),
                dialect.within(al_domain, &[address, target])
            )),
            set_password: kept(format!(
                "UPDATE {table} SET {password} = ?, {updated} = {now}, {changed} = {now}{of_account} AND {old}",
                password = write(Field::Password),
                updated = write(Field::Updated),
                old = same(&format!("COALESCE({}, '')", write(Field::Password))),
            )),
            version: kept(format!("SELECT MAX({}) FROM {}", versions.version, versions.table)),
            table_exists: kept(dialect.table_exists.to_owned()),
            count_accounts: kept(count(&format!("FROM {table} WHERE {written} > ? ORDER BY {written}"))),
            count_domain_accounts: kept(count(&format!(
                "FROM {table}{} WHERE {} ORDER BY {of_domain}, {written}",
                by(&accounts.by_domain),
                dialect.within(of_domain, &[written])
            ))),
            times: kept(format!("SELECT {times}, {login} FROM {from} WHERE {login} = ?")),
            add_account: kept(format!("{insert} {values}")),
            add_accounts: kept(format!("{insert} {}", vec![values.as_str(); BATCH].join(", "))),
            add_some: [format!("{insert} "), values, String::new()],
            find_some: [format!("SELECT {written} FROM {table} WHERE {written} IN ("), "?".into(), ")".into()],
            find_rows: [format!("SELECT {row} FROM {from} WHERE {login} IN ("), "?".into(), ")".into()],
            remove_account: kept(format!("DELETE FROM {table}{of_account}")),
            rename_account: kept(format!(
                "UPDATE {table} SET {written} = ?, {of_domain} = ?, {} = {now}{of_account}",
                write(Field::Updated)
            )),
            set_target: kept(format!(
                "UPDATE {al} SET {target} = ?, {a_updated} = {now} WHERE {address} = ? AND {target} = ? AND {} AND {}",
                same(address),
                same(target)
            )),
            remove_use: kept(format!("DELETE FROM {u} WHERE {u_login} = ?")),
            find_domain: kept(format!(
                "SELECT {own_standing} FROM {d} WHERE {d_name} = ? \
                 UNION ALL SELECT {alias_standing} FROM {o} WHERE {o_name} = ?"
            )),
            alias_domain_page: kept(format!("SELECT {other} FROM {o} WHERE {o_name} > ? ORDER BY {o_name} LIMIT ?")),
            copied_alias_domain: kept(format!("SELECT {other} FROM {o} WHERE {o_name} = ?")),
            changed_alias_domains: kept(format!(
                "SELECT {other}, {} FROM {o}{} WHERE {} ORDER BY {o_updated}, {o_name} LIMIT ?",
                text(o_updated),
                by(&others.by_update),
                since(&[o_updated, o_name]),
            )),
            alias_domains_of: kept(format!(
                "SELECT {o_name} FROM {o}{} WHERE {} ORDER BY {o_target}, {o_name} LIMIT ?",
                by(&others.by_target),
                dialect.within(o_target, &[o_name])
            )),
            add_alias_domain: kept(format!("INSERT INTO {o} ({other}) VALUES (?, ?, ?)")),
            set_alias_domain: kept(format!(
                "UPDATE {o} SET {o_target} = ?, {o_enabled} = ?, {o_updated} = {now} WHERE {o_name} = ?"
            )),
            remove_alias_domain: kept(format!("DELETE FROM {o} WHERE {o_name} = ?")),
            remove_alias_domains_of: kept(format!("DELETE FROM {o} WHERE {o_target} = ? AND {o_name} <= ?")),
            whole_domain: kept(format!("SELECT {whole_domain} FROM {d} WHERE {d_name} = ?")),
            add_domain: kept(format!(
                "INSERT INTO {d} ({d_name}, {d_enabled}, {d_text}, {d_bytes}, {d_messages}, {d_backup}) \
                 VALUES (?, ?, ?, ?, ?, ?)"
            )),
            set_domain: kept(format!(
                "UPDATE {d} SET {d_enabled} = ?, {d_text} = ?, {d_bytes} = ?, {d_messages} = ?, {d_backup} = ?, \
                 {d_updated} = {now} WHERE {d_name} = ?"
            )),
            remove_domain: kept(format!("DELETE FROM {d} WHERE {d_name} = ?")),
            remove_domain_accounts: kept(format!("DELETE FROM {table} WHERE {of_domain} = ? AND {written} <= ?")),
            remove_domain_aliases: kept(format!("DELETE FROM {al} WHERE {al_domain} = ? AND {address} <= ?")),
            find_alias: kept(format!("SELECT {short_alias} FROM {al} WHERE {address} = ? LIMIT ?")),
            find_aliases: kept(format!("SELECT {short_alias} FROM {al} WHERE {address} IN (?, ?) LIMIT ?")),
            add_alias: kept(format!(
                "INSERT INTO {al} ({address}, {al_domain}, {target}, {position}) VALUES (?, ?, ?, ?)"
            )),
            remove_alias: kept(format!("DELETE FROM {al} WHERE {address} = ? AND {}", same(address))),
            remove_target: kept(format!(
                "DELETE FROM {al} WHERE {address} = ? AND {target} = ? AND {} AND {}",
                same(address),
                same(target)
            )),
            other_names: kept(format!(
                "SELECT {} FROM {} WHERE {} = ? LIMIT ?",
                others.name, others.table, others.target
            )),
            set_other_name: kept(format!(
                "UPDATE {} SET {} = ?, {} = {now} WHERE {} = ?",
                others.table, others.target, others.updated, others.name
            )),
            pool_limits: kept(format!("SELECT {quota} FROM {d} WHERE {d_name} = ?")),
            pool_use: kept(format!("SELECT {summed} FROM {} WHERE {} = ?", sums.table, sums.domain)),
            find_use: kept(format!("SELECT {u_bytes}, {u_messages} FROM {u} WHERE {u_login} = ?")),
            uses_page: kept(format!(
                "SELECT {use_row} FROM {u}{} WHERE {} ORDER BY {u_domain}, {u_login} LIMIT ?",
                by(&uses.by_domain),
                dialect.within(u_domain, &[u_login])
            )),
            set_use: kept(format!(
                "UPDATE {u} SET {u_bytes} = ?, {u_messages} = ?, {u_measured} = {now} \
                 WHERE {u_login} = ? AND {u_bytes} = ? AND {u_messages} = ?"
            )),
            add_use: kept(format!(
                "INSERT INTO {u} ({u_login}, {u_domain}, {u_bytes}, {u_messages}) VALUES (?, ?, ?, ?)"
            )),
            add_to_sum: kept(format!(
                "INSERT INTO {} ({}, {summed}) VALUES (?, ?, ?, ?) {} {added}",
                sums.table,
                sums.domain,
                dialect.or_update.replace("{}", &sums.domain),
            )),
            set_sum: kept(format!(
                "UPDATE {} SET {} = ?, {} = ?, {} = ? WHERE {} = ?",
                sums.table, sums.bytes, sums.messages, sums.mailboxes, sums.domain
            )),
            find_several: FindSeveral::new(dialect, &mut slots, |list| {
                format!("SELECT {row} FROM {from} WHERE {login} IN ({list})")
            }),
            set_account: format!("UPDATE {table} SET {} = {now}", write(Field::Updated)),
            of_account,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_written_as_the_database_has_them() {
        let dialect = |numbered| Dialect {
            is_remote: false,
            numbered,
            begin: "BEGIN",
            now: "NOW",
            time_text: "{}",
            same_bytes: "{} = ?",
            row_values: true,
            by_index: "",
            time_value: "{}",
            bounded: "{}",
            select_in_order: "SELECT",
            login_parts: None,
            as_text: "{}",
            or_update: "",
            new_value: "{}",
            added: "",
            table_exists: "",
            lock: "",
            unlock: "",
            schema: "",
            migrations: &[],
        };
        let sql = |numbered| Statements::new(&TableModel::own(), &dialect(numbered)).next_page.sql;
        assert!(sql(false).ends_with("WHERE a.login > ? ORDER BY a.login LIMIT ?"), "{}", sql(false));
        assert!(sql(true).ends_with("WHERE a.login > $1 ORDER BY a.login LIMIT $2"), "{}", sql(true));
    }
}
