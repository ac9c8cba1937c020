//! Every statement, built once from the table model and the dialect.

use super::driver::{Dialect, Statement};
use crate::schema::{Field, TableModel};

/// The statements that are kept prepared, and the words from which others are made.
pub(super) struct Statements {
    /// `(login)` to the fields of [`Field::READ`].
    pub find: Statement,
    /// `(limit)` to the same.
    pub first_page: Statement,
    /// `(login, limit)` to the same.
    pub next_page: Statement,
    /// `(time, time, login, limit)` to the same, of accounts that were changed, or their domains, no sooner than at that
    /// time.
    pub changed_page: Statement,
    /// To the time, as a text.
    pub time: Statement,
    /// `(name, limit)` to name, enabled, bytes and messages of the quota.
    pub domain_page: Statement,
    /// `(address, address, target, limit)` to address, target, position.
    pub alias_page: Statement,
    /// `(new, login, login, old)`.
    pub set_password: Statement,
    /// To the version.
    pub version: Statement,
    /// `(table)` to how many there are.
    pub table_exists: Statement,
    /// To the number of accounts.
    pub count_accounts: Statement,
    /// `(login)` to the texts of [`Field::TIMES`].
    pub times: Statement,
    /// The values of [`INSERTED`] in their order, then 1 or 0: is there a password?
    pub add_account: Statement,
    /// The same for [`BATCH`] accounts, one after the other.
    pub add_accounts: Statement,
    /// `(login, login)`.
    pub remove_account: Statement,
    /// To name, enabled, description, bytes and messages of the quota.
    pub domains: Statement,
    /// `(name)` to name, enabled.
    pub find_domain: Statement,
    /// `(name, enabled, description, bytes, messages)`.
    pub add_domain: Statement,
    /// `(enabled, description, bytes, messages, name)`.
    pub set_domain: Statement,
    /// `(name)`.
    pub remove_domain: Statement,
    /// `(domain)` to a number.
    pub count_domain_accounts: Statement,
    /// `(domain)` to a number.
    pub count_domain_aliases: Statement,
    /// `(domain)`.
    pub remove_domain_accounts: Statement,
    /// `(domain)`.
    pub remove_domain_aliases: Statement,
    /// To address, target.
    pub aliases: Statement,
    /// `(domain)` to address, target.
    pub domain_aliases: Statement,
    /// `(address)` to target, position.
    pub alias_targets: Statement,
    /// `(address)` to address, target.
    pub find_alias: Statement,
    /// `(address, domain, target, position)`.
    pub add_alias: Statement,
    /// `(address, address)`.
    pub remove_alias: Statement,
    /// `(address, target, address, target)`.
    pub remove_target: Statement,
    /// `(domain)` to bytes and messages of its quota.
    pub pool_limits: Statement,
    /// `(domain)` to bytes, messages and number of its mailboxes.
    pub pool_use: Statement,
    /// `(bytes, messages, login)`.
    pub set_use: Statement,
    /// `(login, domain, bytes, messages)`.
    pub add_use: Statement,
    /// `UPDATE ... SET updated = now`, to which a change of an account adds columns.
    pub set_account: String,
    /// ` WHERE ...` of the same, `(login, login)`.
    pub of_account: String,
}

/// What a new account's row is given, in this order.
pub(super) const INSERTED: [Field; 13] = [
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
];

/// How many accounts an import adds with one statement: enough that the way to the server and back does not count, and
/// far from what any database allows as parameters.
pub(super) const BATCH: usize = 100;

impl Statements {
    pub(super) fn new(model: &TableModel, dialect: &Dialect) -> Self {
        let mut slots = 0..;
        let mut kept = |sql: String| Statement { slot: slots.next(), sql: dialect.placeholders(&sql) };
        let same = |column: &str| dialect.same_bytes.replace("{}", column);
        let now = dialect.now;
        let (accounts, domains, aliases, versions) = (&model.accounts, &model.domains, &model.aliases, &model.versions);
        let uses = &model.uses;

        let login = accounts.read(Field::Login);
        let from = &accounts.from;
        let read = |fields: &[Field]| fields.iter().map(|f| accounts.read(*f)).collect::<Vec<_>>().join(", ");
        let row = read(&Field::READ);
        let time = |field: &Field| dialect.time_text.replace("{}", accounts.read(*field));
        let times = Field::TIMES.iter().map(time).collect::<Vec<_>>().join(", ");

        let table = &accounts.table;
        // A model without one of these cannot be written; its database says so when it is tried.
        let write = |field: Field| accounts.column(field).write.as_deref().unwrap_or("not_writable");
        let written = write(Field::Login);
        // The first comparison finds the row by its index, the second keeps the collation from deciding.
        let of_account = format!(" WHERE {written} = ? AND {}", same(written));
        let inserted = INSERTED.map(write).join(", ");
        let changed = write(Field::PasswordChanged);
        let insert = format!("INSERT INTO {table} ({inserted}, {changed}) VALUES");
        let values = format!("({}, CASE WHEN ? = 1 THEN {now} END)", vec!["?"; INSERTED.len()].join(", "));

        let (d, d_name, d_enabled) = (&domains.table, &domains.name, &domains.enabled);
        let (al, address, target, position) = (&aliases.table, &aliases.address, &aliases.target, &aliases.position);
        let (d_text, d_updated, al_domain) = (&domains.description, &domains.updated, &aliases.domain);
        let (d_bytes, d_messages) = (&domains.quota_bytes, &domains.quota_messages);
        let (u, u_login, u_domain, u_measured) = (&uses.table, &uses.login, &uses.domain, &uses.measured);
        let (u_bytes, u_messages) = (&uses.bytes, &uses.messages);
        let total = |column: &str| dialect.total.replace("{}", column);
        let of_domain = write(Field::Domain);
        let ordered = format!("ORDER BY {address}, {position}, {target}");

        Statements {
            find: kept(format!("SELECT {row} FROM {from} WHERE {login} = ?")),
            first_page: kept(format!("SELECT {row} FROM {from} ORDER BY {login} LIMIT ?")),
            next_page: kept(format!("SELECT {row} FROM {from} WHERE {login} > ? ORDER BY {login} LIMIT ?")),
            changed_page: kept(format!(
                "SELECT {row} FROM {from} WHERE ({} >= ? OR EXISTS (SELECT 1 FROM {d} WHERE {d_name} = {} AND {} >= ?)) \
                 AND {login} > ? ORDER BY {login} LIMIT ?",
                time(&Field::Updated),
                accounts.read(Field::Domain),
                dialect.time_text.replace("{}", d_updated),
            )),
            time: kept(format!("SELECT {}", dialect.time_text.replace("{}", now))),
            domain_page: kept(format!(
                "SELECT {d_name}, {d_enabled}, {d_bytes}, {d_messages} FROM {d} WHERE {d_name} > ? \
                 ORDER BY {d_name} LIMIT ?"
            )),
            alias_page: kept(format!(
                "SELECT {address}, {target}, {position} FROM {al} WHERE {address} > ? OR ({address} = ? AND {target} > ?) \
                 ORDER BY {address}, {target} LIMIT ?"
            )),
            set_password: kept(format!(
                "UPDATE {table} SET {password} = ?, {updated} = {now}, {changed} = {now}{of_account} AND {old}",
                password = write(Field::Password),
                updated = write(Field::Updated),
                old = same(&format!("COALESCE({}, '')", write(Field::Password))),
            )),
            version: kept(format!("SELECT MAX({}) FROM {}", versions.version, versions.table)),
            table_exists: kept(dialect.table_exists.to_owned()),
            count_accounts: kept(format!("SELECT COUNT(*) FROM {from}")),
            times: kept(format!("SELECT {times}, {login} FROM {from} WHERE {login} = ?")),
            add_account: kept(format!("{insert} {values}")),
            add_accounts: kept(format!("{insert} {}", vec![values.as_str(); BATCH].join(", "))),
            remove_account: kept(format!("DELETE FROM {table}{of_account}")),
            domains: kept(format!(
                "SELECT {d_name}, {d_enabled}, {d_text}, {d_bytes}, {d_messages} FROM {d} ORDER BY {d_name}"
            )),
            find_domain: kept(format!("SELECT {d_name}, {d_enabled} FROM {d} WHERE {d_name} = ?")),
            add_domain: kept(format!(
                "INSERT INTO {d} ({d_name}, {d_enabled}, {d_text}, {d_bytes}, {d_messages}) VALUES (?, ?, ?, ?, ?)"
            )),
            set_domain: kept(format!(
                "UPDATE {d} SET {d_enabled} = ?, {d_text} = ?, {d_bytes} = ?, {d_messages} = ?, {d_updated} = {now} \
                 WHERE {d_name} = ?"
            )),
            remove_domain: kept(format!("DELETE FROM {d} WHERE {d_name} = ?")),
            count_domain_accounts: kept(format!("SELECT COUNT(*) FROM {table} WHERE {of_domain} = ?")),
            count_domain_aliases: kept(format!("SELECT COUNT(*) FROM {al} WHERE {al_domain} = ?")),
            remove_domain_accounts: kept(format!("DELETE FROM {table} WHERE {of_domain} = ?")),
            remove_domain_aliases: kept(format!("DELETE FROM {al} WHERE {al_domain} = ?")),
            aliases: kept(format!("SELECT {address}, {target} FROM {al} {ordered}")),
            domain_aliases: kept(format!("SELECT {address}, {target} FROM {al} WHERE {al_domain} = ? {ordered}")),
            alias_targets: kept(format!("SELECT {target}, {position} FROM {al} WHERE {address} = ?")),
            find_alias: kept(format!("SELECT {address}, {target} FROM {al} WHERE {address} = ? {ordered}")),
            add_alias: kept(format!(
                "INSERT INTO {al} ({address}, {al_domain}, {target}, {position}) VALUES (?, ?, ?, ?)"
            )),
            remove_alias: kept(format!("DELETE FROM {al} WHERE {address} = ? AND {}", same(address))),
            remove_target: kept(format!(
                "DELETE FROM {al} WHERE {address} = ? AND {target} = ? AND {} AND {}",
                same(address),
                same(target)
            )),
            pool_limits: kept(format!("SELECT {d_bytes}, {d_messages} FROM {d} WHERE {d_name} = ?")),
            pool_use: kept(format!(
                "SELECT {}, {}, COUNT(*) FROM {u} WHERE {u_domain} = ?",
                total(u_bytes),
                total(u_messages)
            )),
            set_use: kept(format!(
                "UPDATE {u} SET {u_bytes} = ?, {u_messages} = ?, {u_measured} = {now} WHERE {u_login} = ?"
            )),
            add_use: kept(format!(
                "INSERT INTO {u} ({u_login}, {u_domain}, {u_bytes}, {u_messages}) VALUES (?, ?, ?, ?)"
            )),
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
            numbered,
            begin: "BEGIN",
            now: "NOW",
            time_text: "{}",
            same_bytes: "{} = ?",
            total: "SUM({})",
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
