//! Profiles: what the tables of a program hold, as data.
//!
//! A profile is a file `profiles/NAME.toml` and a line in [`PROFILES`]. The file has these keys and sections:
//!
//! - `program`: the name of the program, as its users know it.
//! - `databases`: those that the program runs on, of `"mysql"` (and MariaDB), `"postgres"` and `"sqlite"`.
//! - `[parameters.NAME]`: a parameter, which stands as `{NAME}` in the other texts. `kind` is `path` (absolute), `number`,
//!   `word`, `prefix` or `domains`; `meaning` explains it, such as "the folder of ..."; `default` is its value if the
//!   configuration does not set it, and without a default it has to. `domains` is a list of names. It becomes its
//!   `template` once for each domain, with `{domain}` and `{table}` (the name with `_` for `.` and `-`) put in, joined by
//!   `UNION ALL`. The parameter `prefix`, by default empty, is there without being named if a text has `{prefix}`.
//! - `[defaults]`: values of other keys of the configuration that suit the program: `"section.key" = value`. What the
//!   configuration itself sets comes first.
//! - `[accounts]`: `from` is the text after `FROM`, beginning with the table that has a row for each account. `find` is
//!   the condition that finds one account by `:login`, or by `:local` and `:domain`; it should be answered by an index.
//!   `where` is a further condition for every account. `key` lists the columns of a unique index over the first table.
//!   All other keys are expressions for the fields of an account: `login`, `password`, `enabled`, `domain_enabled`,
//!   `services`, `receives`, `uid`, `gid`, `home`, `maildir`, `quota_bytes`, `quota_messages`, or instead of both `quota`
//!   (with `quota_plain_is_bytes = true` if a number without a unit counts bytes), `name`, and `options` (with
//!   `options_disable_services = true` if options such as `disableimap=1` take services away).
//! - `[[domains.parts]]`, `[[aliases.parts]]`, `[[alias_domains.parts]]`: each part becomes one `SELECT` of its two
//!   `columns` from its `from`, where its `where` (if it has one) and its `find` hold, in the order of its `order` (if it
//!   has one, and if there is only one part); the parts are joined by `UNION ALL`. Without `find`, and in pages by the
//!   `key`, which is a unique index over the first table of `from`, it lists all rows. A part with `list = false` is
//!   not listed, needs no key, and may have parameters in all of its texts. The columns are a domain and 0 or 1 (is it
//!   enabled); an address and its targets; an alias domain and its domain.
//! - `[domains]`, `[aliases]`, `[alias_domains]` may have `find`, the whole `SELECT`, instead of parts. Then nothing is
//!   listed. `find = ""` means that the tables hold none. `[aliases] separator` is what separates targets in one
//!   value: `","`, `"space"`, or `""` if each row has one target. A section is left out if it needs a list of
//!   domains that is empty.
//! - `[mysql.accounts]`, `[postgres.aliases]`, `[[sqlite.domains.parts]]` and so on: what differs on one database. A key of
//!   accounts replaces a single key, an empty text removes it, and parts or `find` replace the whole section.
//! - `[reads]`: the tables without their prefix, each with the columns that are read. `"{table}"` is replaced by the table of
//!   each domain. `[mysql.reads]` replaces all of them for one database.
//! - `[versions]`: columns, as `"table.column"`, and tables, as `"table"`, that older versions or other builds of the program
//!   lack, and the version that has each.

use super::parameters::{ProfileParameter, names_in};
use super::settings::{ACCOUNT_KEYS, Setting};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The name of the profile for our own tables.
pub const OWN: &str = "own";

/// The name of the profile that is empty.
pub const CUSTOM: &str = "custom";

/// The names of all profiles of other programs, and their text.
const PROFILES: &[(&str, &str)] = &[
    ("postfixadmin", include_str!("../../profiles/postfixadmin.toml")),
    ("vexim", include_str!("../../profiles/vexim.toml")),
    ("froxlor", include_str!("../../profiles/froxlor.toml")),
    ("ispmail", include_str!("../../profiles/ispmail.toml")),
    ("vpopmail", include_str!("../../profiles/vpopmail.toml")),
    ("vpopmail-domains", include_str!("../../profiles/vpopmail-domains.toml")),
    ("iredmail", include_str!("../../profiles/iredmail.toml")),
    ("mailcow", include_str!("../../profiles/mailcow.toml")),
    ("vimbadmin", include_str!("../../profiles/vimbadmin.toml")),
    ("courier", include_str!("../../profiles/courier.toml")),
    ("modoboa", include_str!("../../profiles/modoboa.toml")),
    ("mailu", include_str!("../../profiles/mailu.toml")),
    ("ispconfig", include_str!("../../profiles/ispconfig.toml")),
    (CUSTOM, "program = 'another program'\ndatabases = ['mysql', 'postgres', 'sqlite']"),
];

/// The kinds of databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// MySQL or MariaDB.
    Mysql,
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

impl DatabaseKind {
    /// Returns the name of the product.
    pub const fn product(self) -> &'static str {
        match self {
            DatabaseKind::Mysql => "MySQL",
            DatabaseKind::Postgres => "PostgreSQL",
            DatabaseKind::Sqlite => "SQLite",
        }
    }
}

/// What the tables of a program hold.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name of the program.
    pub program: String,
    /// The databases that it runs on.
    pub databases: Vec<DatabaseKind>,
    /// What the configuration has to say about an installation, by name.
    #[serde(default)]
    pub parameters: BTreeMap<String, ProfileParameter>,
    /// Values of other keys, as `section.key`.
    #[serde(default)]
    pub(super) defaults: toml::Table,
    #[serde(default)]
    accounts: BTreeMap<String, Setting>,
    #[serde(default)]
    domains: Rows,
    #[serde(default)]
    aliases: Rows,
    #[serde(default)]
    alias_domains: Rows,
    #[serde(default)]
    reads: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    mysql: Texts,
    #[serde(default)]
    postgres: Texts,
    #[serde(default)]
    sqlite: Texts,
    #[serde(default)]
    pub(super) versions: BTreeMap<String, String>,
}

/// The SQL text of a profile, or what differs on one database.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Texts {
    pub accounts: BTreeMap<String, Setting>,
    pub domains: Rows,
    pub aliases: Rows,
    pub alias_domains: Rows,
    pub reads: BTreeMap<String, Vec<String>>,
}

/// How rows of two columns are found.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rows {
    pub find: Option<String>,
    pub separator: Option<String>,
    pub parts: Vec<Part>,
}

/// Rows of one table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub from: String,
    #[serde(rename = "where")]
    pub filter: Option<String>,
    pub find: String,
    pub columns: [String; 2],
    #[serde(default)]
    pub key: Vec<String>,
    pub order: Option<String>,
    #[serde(default = "yes")]
    pub list: bool,
}

fn yes() -> bool {
    true
}

impl Profile {
    /// Returns the names of all profiles, beginning with `own`.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        [OWN].into_iter().chain(PROFILES.iter().map(|(name, _)| *name))
    }

    /// Returns the profile of another program; `None` if there is none with this name.
    ///
    /// # Errors
    /// Fails if the file that is built in cannot be read.
    pub fn named(name: &str) -> Option<Result<Profile, String>> {
        let (name, text) = PROFILES.iter().find(|(known, _)| *known == name)?;
        Some(Profile::parse(text).map_err(|error| format!("the profile {name} that is built in has a fault: {error}")))
    }

    /// Reads the text of a profile.
    pub(super) fn parse(text: &str) -> Result<Profile, String> {
        let mut profile: Profile = toml::from_str(text).map_err(|error| error.to_string())?;
        let of_databases = [&profile.mysql, &profile.postgres, &profile.sqlite].map(|texts| &texts.accounts);
        for key in of_databases.into_iter().chain([&profile.accounts]).flat_map(BTreeMap::keys) {
            if !ACCOUNT_KEYS.contains(&key.as_str()) {
                return Err(format!("accounts have no key {key}"));
            }
        }
        if names_in(text).contains(&"prefix") {
            profile.parameters.entry("prefix".to_owned()).or_insert_with(ProfileParameter::prefix);
        }
        Ok(profile)
    }

    /// Returns the names of the profiles with this parameter.
    pub(super) fn with_parameter(name: &str) -> Vec<&'static str> {
        static PARAMETERS: LazyLock<Vec<(&str, Vec<String>)>> = LazyLock::new(|| {
            let names = |name| Profile::named(name)?.ok().map(|profile| profile.parameters.into_keys().collect());
            Profile::names().filter_map(|name| Some((name, names(name)?))).collect()
        });
        let has = |(_, parameters): &&(&str, Vec<String>)| parameters.iter().any(|known| known == name);
        PARAMETERS.iter().filter(has).map(|(profile, _)| *profile).collect()
    }

    /// Returns the text for one kind of database.
    pub(super) fn texts(&self, database: DatabaseKind) -> Texts {
        let differs = match database {
            DatabaseKind::Mysql => &self.mysql,
            DatabaseKind::Postgres => &self.postgres,
            DatabaseKind::Sqlite => &self.sqlite,
        };
        let mut accounts = self.accounts.clone();
        accounts.extend(differs.accounts.clone());
        accounts.retain(|_, setting| *setting != Setting::Text(String::new()));
        Texts {
            accounts,
            domains: self.domains.with(&differs.domains),
            aliases: self.aliases.with(&differs.aliases),
            alias_domains: self.alias_domains.with(&differs.alias_domains),
            reads: if differs.reads.is_empty() { self.reads.clone() } else { differs.reads.clone() },
        }
    }
}

impl Rows {
    /// Returns these with what differs.
    fn with(&self, differs: &Rows) -> Rows {
        let is_replaced = differs.find.is_some() || !differs.parts.is_empty();
        let from = if is_replaced { differs } else { self };
        Rows {
            find: from.find.clone(),
            parts: from.parts.clone(),
            separator: differs.separator.clone().or_else(|| self.separator.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parameters::ParameterKind;
    use super::super::settings::SchemaConfig;
    use super::super::{ForeignModel, assemble};
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    /// Returns a value that a parameter can have.
    fn example(kind: ParameterKind) -> Setting {
        match kind {
            ParameterKind::Path => Setting::Text("/var/mail".to_owned()),
            ParameterKind::Number => Setting::Number(1),
            ParameterKind::Word | ParameterKind::Prefix => Setting::Text("a_".to_owned()),
            ParameterKind::Domains => Setting::List(vec!["example.org".to_owned(), "a-b.example".to_owned()]),
        }
    }

    /// Returns every profile of a known program, with all of its parameters set, on each of its databases.
    fn models() -> Vec<(&'static str, DatabaseKind, ForeignModel)> {
        let names = Profile::names().filter(|name| ![OWN, CUSTOM].contains(name));
        let mut models = Vec::new();
        for name in names {
            let profile = Profile::named(name).unwrap().unwrap();
            let parameters = profile.parameters.iter().map(|(name, parameter)| (name.clone(), example(parameter.kind)));
            let schema =
                SchemaConfig { profile: name.to_owned(), parameters: parameters.collect(), ..Default::default() };
            for database in profile.databases {
                let assembled =
                    assemble(&schema, database).map_err(|faults| panic!("{name} on {database:?}: {faults:#?}"));
                models.extend(assembled.map(|assembled| (name, database, assembled.model)));
            }
        }
        models
    }

    #[test]
    fn every_profile_is_complete_on_each_of_its_databases() {
        for (name, database, model) in models() {
            let of = format!("{name} on {database:?}");
            assert!(!model.accounts.key.is_empty(), "{of}");
            assert!(!model.accounts.find.parameters.is_empty(), "{of}");
            let lists = [
                model.domains.map(|domains| domains.list),
                model.aliases.map(|aliases| aliases.list),
                model.alias_domains.map(|domains| domains.list),
            ];
            for list in lists.into_iter().flatten() {
                assert!(list.is_some(), "{of}");
            }
        }
    }

    #[test]
    fn every_version_is_of_a_table_or_column_that_is_read() {
        let models = models();
        for (name, _, model) in &models {
            let of_program = models.iter().filter(|(of, ..)| of == name);
            let reads: Vec<_> = of_program.flat_map(|(.., model)| &model.reads).collect();
            for (versioned, _) in &model.versions {
                let is_read = match versioned.split_once('.') {
                    Some((table, column)) => {
                        reads.iter().any(|of| of.table == table && of.columns.iter().any(|read| read == column))
                    }
                    None => reads.iter().any(|of| of.table == *versioned),
                };
                assert!(is_read, "{name}: {versioned}");
            }
        }
    }

    #[test]
    fn every_profile_has_the_prefix_in_the_names_of_all_tables() {
        for (name, database, model) in models() {
            for read in model.reads {
                assert!(read.table.starts_with("a_"), "{name} on {database:?}: {}", read.table);
            }
        }
    }

    #[test]
    fn every_parameter_of_a_profile_is_used() {
        for (name, text) in PROFILES {
            for parameter in Profile::named(name).unwrap().unwrap().parameters.keys() {
                assert!(text.contains(&format!("{{{parameter}}}")), "{name}: {parameter}");
            }
        }
    }

    #[test]
    fn the_defaults_of_a_profile_are_keys_with_values() {
        for name in Profile::names().filter(|name| ![OWN, CUSTOM].contains(name)) {
            let profile = Profile::named(name).unwrap().unwrap();
            let kind = match profile.databases[0] {
                DatabaseKind::Mysql => "mysql://u@localhost/d",
                DatabaseKind::Postgres => "postgres://u@localhost/d",
                DatabaseKind::Sqlite => "sqlite:d",
            };
            let value = |kind| match example(kind) {
                Setting::Text(text) => format!("{text:?}"),
                Setting::List(list) => format!("{list:?}"),
                Setting::Number(number) => number.to_string(),
                Setting::Flag(flag) => flag.to_string(),
            };
            let lines =
                profile.parameters.iter().map(|(name, parameter)| format!("{name} = {}\n", value(parameter.kind)));
            let text =
                format!("[database]\nurl = '{kind}'\n[schema]\nprofile = '{name}'\n{}", lines.collect::<String>());
            Config::parse(&text, Path::new("m.toml")).unwrap_or_else(|errors| panic!("{errors}"));
        }
    }

    #[test]
    fn a_key_that_no_profile_has_is_refused() {
        let base = "program = 'X'\ndatabases = ['mysql']\n";
        assert!(Profile::parse(base).is_ok());
        for text in [
            "[acounts]",
            "[mysql.acounts]",
            "[accounts]\nloggin = 'x'",
            "[mysql.accounts]\nloggin = 'x'",
            "[parameters.x]\nkind = 'path'\nmeaning = 'x'\ndefalt = 'x'",
            "[parameters.x]\nkind = 'pth'\nmeaning = 'x'",
            "[aliases]\nseperator = ','",
            "[[aliases.parts]]\nfrom = 'a'\nfind = 'b'\ncolumns = ['a']",
            "[[aliases.parts]]\nfrom = 'a'\nfind = 'b'\ncolumns = ['a', 'b']\nlst = true",
            "[reads]\na = 'b'",
        ] {
            assert!(Profile::parse(&format!("{base}{text}")).is_err(), "{text}");
        }
    }
}
