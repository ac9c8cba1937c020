//! The mailbox of Dovecot's queries: home, owner, Maildir and quota.

use super::accounts::quoted_toml;
use super::dialect::Dialect;
use super::finding_terms::Row;
use super::findings::{Findings, Place, quoted};
use super::forms::normal;
use super::joined_text::{Context, Joined, Value, quota_rule, size};
use super::queries::Work;
use super::select::{Column, Select};
use super::variables::Variables;
use std::collections::BTreeMap;

impl Work<'_> {
    /// Refuses mailboxes that are no Maildirs, if the accounts cannot be read.
    pub fn check_mailboxes(&mut self) {
        let queries = std::iter::once(&self.password).chain(&self.user);
        queries.for_each(|(query, place)| check_mailbox(query, place, self.dialect, self.findings));
    }

    /// Takes over the fields of the mailbox.
    pub fn fields(&mut self, row: &Row) {
        let mut fields: BTreeMap<String, (Column, Select, Place)> = BTreeMap::new();
        let (password, place) = self.password.clone();
        let prefetched = password.columns.iter().filter_map(|column| {
            let name = column.name.as_deref()?.strip_prefix("userdb_")?;
            Some((name.to_owned(), (column.clone(), password.clone(), place.clone())))
        });
        fields.extend(prefetched);
        if let Some((user, user_place)) = self.user.clone() {
            for column in &user.columns {
                let Some(name) = column.name.clone() else { continue };
                let written =
                    |column: &Column, select: &Select| normal(&select.variables.written(&column.sql), self.dialect);
                let before = fields.insert(name.clone(), (column.clone(), user.clone(), user_place.clone()));
                let differs =
                    before.is_some_and(|(other, select, _)| written(&other, &select) != written(column, &user));
                if differs {
                    let text = format!("{name} differs from userdb_{name} of {}; this one is taken", place.key);
                    self.findings.note(&user_place, text);
                }
            }
        }
        for (name, (column, select, place)) in fields {
            if let Err(problem) = self.field(&name, &column, &select, &place, row) {
                self.findings.refuse(&place, format!("{name} {problem}"));
            }
        }
    }

    fn field(&mut self, name: &str, column: &Column, select: &Select, place: &Place, row: &Row) -> Result<(), String> {
        let context = Context { variables: &select.variables, row, dialect: self.dialect };
        let written = select.variables.written(&column.sql);
        let old = format!("{written} AS {name}");
        let joined = || Joined::read(&column.sql, context);
        match name {
            "user" | "username" | "domain" => {}
            "home" | "mail_home" => self.accounts.add_value("home", joined()?.value(), &old, place),
            "uid" | "mail_uid" => self.owner("uid", "min_uid", joined()?.value(), &old, place),
            "gid" | "mail_gid" => self.owner("gid", "min_gid", joined()?.value(), &old, place),
            "mail" | "mail_location" => self.location(joined()?, &old, place)?,
            "mail_path" => self.path(joined()?, &old, place),
            "mail_driver" => match joined()?.value() {
                Value::Template(format) if format.eq_ignore_ascii_case("maildir") => {}
                Value::Template(format) => return Err(no_maildir(&format)),
                Value::Sql(sql) => self.only_maildir(&format!("{sql} = 'maildir'")),
            },
            "quota_rule" => match quota_rule(&joined()?) {
                Ok(limits) => {
                    for (key, sql) in [("quota_bytes", limits.bytes), ("quota_messages", limits.messages)] {
                        if let Some(sql) = sql {
                            self.accounts.add(key, sql, old.clone(), place);
                        }
                    }
                }
                Err(problem) => self.lost_quota(name, &problem, place),
            },
            "quota_storage_size" | "quota_message_count" => match size(&joined()?) {
                Ok(sql) if name == "quota_message_count" => self.accounts.add("quota_messages", sql, old, place),
                Ok(sql) => self.accounts.add("quota_bytes", sql, old, place),
                Err(problem) => self.lost_quota(name, &problem, place),
            },
            other => {
                self.findings.warn(place, format!("the field {other} is not taken over: mailauth has none like it"))
            }
        }
        Ok(())
    }

    fn lost_quota(&mut self, name: &str, problem: &str, place: &Place) {
        let text = format!("{name} {problem}; it is not taken over, and mailboxes have the quota of [mailbox] quota");
        self.findings.warn(place, text);
    }

    /// Takes over a user or group: a number, a name, or a column.
    fn owner(&mut self, key: &'static str, floor: &'static str, value: Value, old: &str, place: &Place) {
        let comment = format!("{}: {old}", place.key);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match value {
            Value::Template(text) if !is_number(&text) => self.accounts.set(key, quoted_toml(&text), comment),
            Value::Template(number) => self.accounts.set(key, number, comment),
            Value::Sql(number) if is_number(&number) => self.accounts.set(key, number, comment),
            Value::Sql(sql) => {
                let least = if key == "uid" { "500" } else { "1" };
                self.accounts.set(floor, least.to_owned(), format!("Dovecot's default of first_valid_{key}"));
                self.accounts.add(key, sql, old, place);
            }
        }
    }

    /// Takes over a location such as `maildir:/srv/mail/%d/%n`.
    fn location(&mut self, mut joined: Joined, old: &str, place: &Place) -> Result<(), String> {
        if let Some(format) = other_format(joined.beginning()) {
            return Err(no_maildir(format));
        }
        if joined.strip("maildir:") {
            self.path(joined, old, place);
        } else if joined.is_one_column() {
            let Some(column) = joined.first_column().map(str::to_owned) else { return Ok(()) };
            self.only_maildir(&format!(
                "COALESCE({column}, '/') LIKE 'maildir:%' OR COALESCE({column}, '/') LIKE '/%'"
            ));
            self.accounts.add("maildir", path_in_column(&column, self.dialect), old, place);
        } else if let Some(format) = joined.first_column().map(str::to_owned) {
            let mut rest = joined.without_first();
            if !rest.strip(":") {
                return Err("is no location of a Maildir that can be taken apart".to_owned());
            }
            self.only_maildir(&format!("{format} = 'maildir'"));
            self.path(rest, old, place);
        } else {
            self.path(joined, old, place);
        }
        Ok(())
    }

    /// Takes over a path with options after it.
    fn path(&mut self, mut joined: Joined, old: &str, place: &Place) {
        if let Some(options) = joined.cut(':') {
            let layout = if options.contains("LAYOUT=fs") {
                "; with LAYOUT=fs, Courier and Exim see only the inbox, because folders are no Maildir++"
            } else {
                ""
            };
            self.findings.warn(place, format!("the options {} are not taken over{layout}", quoted(&options)));
        }
        if !joined.strip("~/") && joined.beginning() == "~" {
            joined.strip("~");
        }
        match joined.value() {
            Value::Template(path) if path.is_empty() => {
                self.accounts.set("maildir", "\".\"".to_owned(), old.to_owned())
            }
            value => self.accounts.add_value("maildir", value, old, place),
        }
    }

    /// Refuses logins and mail of accounts whose mailbox is no Maildir.
    fn only_maildir(&mut self, condition: &str) {
        let none = Variables::default();
        self.conditions.add_for_logins(condition.to_owned());
        self.conditions.add_for_delivery(condition, &none);
        let place = self.user.as_ref().map_or(&self.password.1, |(_, place)| place).clone();
        self.findings.warn(
            &place,
            "the format of the mailbox is in a column; accounts with another format than Maildir are refused",
        );
    }
}

/// Refuses a mailbox that is no Maildir, although the query of the login cannot be read.
pub fn check_mailbox(query: &Select, place: &Place, dialect: Dialect, findings: &mut Findings) {
    for name in ["mail", "userdb_mail"] {
        let Some(column) = query.column(name) else { continue };
        let row = Row { login: String::new(), local: String::new(), domain: String::new() };
        let context = Context { variables: &query.variables, row: &row, dialect };
        if let Ok(joined) = Joined::read(&column.sql, context)
            && let Some(format) = other_format(joined.beginning())
        {
            findings.refuse(place, format!("{name} {}", no_maildir(format)));
        }
    }
}

fn no_maildir(format: &str) -> String {
    format!("names a mailbox of the format {format}, which is no Maildir; Courier's and Exim's delivery cannot use it")
}

/// Returns the format of a location, if it is no Maildir.
fn other_format(location: &str) -> Option<&str> {
    let (format, _) = location.split_once(':')?;
    let is_format = !format.is_empty() && format.chars().all(|c| c.is_ascii_alphanumeric());
    (is_format && !format.eq_ignore_ascii_case("maildir")).then_some(format)
}

/// Returns the path of a location in a column, without its format and its options.
fn path_in_column(column: &str, dialect: Dialect) -> String {
    let path = match dialect {
        Dialect::Mysql => format!("SUBSTRING_INDEX(SUBSTRING({column}, 9), ':', 1)"),
        Dialect::Postgres => format!("split_part(substr({column}, 9), ':', 1)"),
        Dialect::Sqlite => format!("substr({column}, 9, instr(substr({column}, 9) || ':', ':') - 1)"),
    };
    format!("CASE WHEN {column} LIKE 'maildir:%' THEN {path} ELSE {column} END")
}
