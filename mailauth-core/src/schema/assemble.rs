//! Making a [`ForeignModel`] from a profile, its parameters and what the configuration says instead.

use super::overrides;
use super::parameters::{ProfileParameter, Values, filled, names_in, table_of};
use super::profile::{CUSTOM, DatabaseKind, Part, Profile, Rows, Texts};
use super::settings::{SchemaConfig, SchemaFault, Setting};
use super::text::check_length;
use super::{
    AliasDomainQuery, AliasQuery, DomainQuery, Field, ForeignAccounts, ForeignModel, Listing, NamedSql, Parameter,
    QuotaText, Separator, TableColumns, named, terms,
};
use std::collections::BTreeMap;

/// The parameters of each question.
const OF_ACCOUNT: &[Parameter] = &Parameter::ALL;
const OF_ALIAS: &[Parameter] = &[Parameter::Address, Parameter::Local, Parameter::Domain, Parameter::Login];
const OF_DOMAIN: &[Parameter] = &[Parameter::Domain];

/// The section about aliases.
const ALIASES: &str = "schema.aliases";

/// What a configuration's `[schema]` means.
pub(crate) struct Assembled {
    /// The tables.
    pub model: ForeignModel,
    /// Values of keys that the configuration may leave out, by section and key.
    pub defaults: Vec<(String, String, toml::Value)>,
}

/// Makes the model of `schema`, whose profile is that of another program.
///
/// # Errors
/// Fails with all mistakes.
pub(crate) fn assemble(schema: &SchemaConfig, database: DatabaseKind) -> Result<Assembled, Vec<SchemaFault>> {
    let fault =
        |problem| vec![SchemaFault { section: "schema", key: "profile".to_owned(), problem, is_unknown: false }];
    let profile = match Profile::named(&schema.profile) {
        Some(read) => read.map_err(fault)?,
        None => return Err(fault(format!("{} is not a profile of another program", schema.profile))),
    };
    let mut work = Work { schema, profile: &profile, database, values: Values::new(), faults: Vec::new() };
    work.read_values();
    if !profile.databases.contains(&database) {
        work.faults.extend(fault(other_database(schema, &profile, database)));
        return Err(work.faults);
    }
    let model = work.model();
    let defaults = work.defaults();
    if work.faults.is_empty() { Ok(Assembled { model, defaults }) } else { Err(work.faults) }
}

fn other_database(schema: &SchemaConfig, profile: &Profile, database: DatabaseKind) -> String {
    let known: Vec<_> = profile.databases.iter().map(|kind| kind.product()).collect();
    format!(
        "the tables of {} are known on {} only, but [database] url names {}; write the URL of its database, or use the \
         profile {CUSTOM} instead of {}",
        profile.program,
        known.join(", "),
        database.product(),
        schema.profile
    )
}

/// Checks a text, and returns it on one line.
type Check = fn(&str, DatabaseKind) -> Result<String, String>;

/// Where a text came from.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    /// The profile.
    Profile,
    /// The configuration.
    Configuration,
}

pub(super) struct Work<'s> {
    pub schema: &'s SchemaConfig,
    profile: &'s Profile,
    pub database: DatabaseKind,
    values: Values,
    faults: Vec<SchemaFault>,
}

impl Work<'_> {
    /// Adds a mistake.
    pub fn fault(&mut self, section: &'static str, key: &str, problem: String) {
        self.faults.push(SchemaFault { section, key: key.to_owned(), problem, is_unknown: false });
    }

    /// Returns a checked text, or adds why it is refused. A text of the profile is wrong only if a parameter made it so.
    pub fn keep<T>(
        &mut self,
        section: &'static str,
        key: &str,
        origin: Origin,
        result: Result<T, String>,
    ) -> Option<T> {
        match (result, origin) {
            (Ok(checked), _) => return Some(checked),
            (Err(problem), Origin::Configuration) => self.fault(section, key, problem),
            (Err(problem), Origin::Profile) => {
                let of = section.trim_start_matches("schema.");
                self.fault("schema", "profile", format!("{of} {key} of the profile {problem}"));
            }
        }
        None
    }

    /// Returns a text with the values of the parameters in it.
    pub fn filled(&self, text: &str) -> String {
        filled(text, &self.values)
    }

    /// Returns a text of the configuration with the values of the parameters in it. A name in braces that is nearly one
    /// of a parameter is a mistake.
    pub fn filled_setting(&self, text: &str) -> Result<String, String> {
        check_length(text)?;
        for name in names_in(text) {
            let known = self.profile.parameters.keys().map(String::as_str);
            if let Some(near) = crate::config::nearest(name, known).filter(|near| *near != name) {
                return Err(format!("has {{{name}}}, which is not a parameter; did you mean {{{near}}}?"));
            }
        }
        Ok(self.filled(text))
    }

    fn read_values(&mut self) {
        for (name, parameter) in &self.profile.parameters {
            let value = match (self.schema.parameters.get(name), &parameter.default) {
                (Some(setting), _) | (None, Some(setting)) => parameter.value(setting),
                (None, None) => Err(missing(&self.schema.profile, parameter)),
            };
            let value = value.unwrap_or_else(|problem| {
                self.faults.push(SchemaFault { section: "schema", key: name.clone(), problem, is_unknown: false });
                parameter.placeholder()
            });
            self.values.insert(name.clone(), value);
        }
        for name in self.schema.parameters.keys() {
            if !self.profile.parameters.contains_key(name) {
                let (key, problem) = (name.clone(), self.unknown(name));
                self.faults.push(SchemaFault { section: "schema", key, problem, is_unknown: true });
            }
        }
    }

    fn unknown(&self, name: &str) -> String {
        let own = self.profile.parameters.keys().map(String::as_str);
        if let Some(near) = crate::config::nearest(name, own.clone().chain(["profile"])) {
            return format!("there is no such key; did you mean {near}?");
        }
        let profile = &self.schema.profile;
        match Profile::with_parameter(name).as_slice() {
            [] => match own.collect::<Vec<_>>().as_slice() {
                [] => format!("there is no such key; the profile {profile} has no parameters"),
                own => format!("there is no such key; the parameters of the profile {profile} are {}", own.join(", ")),
            },
            others => format!("is not a parameter of the profile {profile}, but of {}; remove it", others.join(", ")),
        }
    }

    fn model(&mut self) -> ForeignModel {
        let mut texts = self.profile.texts(self.database);
        let changes = overrides::apply(self, &mut texts);
        ForeignModel {
            profile: self.schema.profile.clone(),
            program: self.profile.program.clone(),
            accounts: self.accounts(&texts, &changes),
            domains: self
                .rows("schema.domains", &texts.domains, changes.domains, OF_DOMAIN)
                .map(|(find, list)| DomainQuery { find, list }),
            aliases: self.rows(ALIASES, &texts.aliases, changes.aliases, OF_ALIAS).map(|(find, list)| AliasQuery {
                find,
                list,
                separator: Separator::named(texts.aliases.separator.as_deref()),
            }),
            alias_domains: self
                .rows("schema.alias_domains", &texts.alias_domains, changes.alias_domains, OF_DOMAIN)
                .map(|(find, list)| AliasDomainQuery { find, list }),
            reads: self.reads(&texts),
            versions: self.versions(),
        }
    }

    fn accounts(&mut self, texts: &Texts, changes: &overrides::Changes) -> ForeignAccounts {
        const SECTION: &str = "schema.accounts";
        let database = self.database;
        let origin = |key: &str| changes.origin(key);
        let text = |work: &mut Self, key: &str, check: Check| {
            let setting = texts.accounts.get(key)?;
            let sql = setting.sql().map(|sql| work.filled(&sql));
            work.keep(SECTION, key, origin(key), sql.and_then(|sql| check(&sql, database)))
        };
        let from = text(self, "from", named::tables);
        let mut filter = text(self, "where", named::filter);
        let fields = Field::READ.map(|field| text(self, field.name(), named::expression));
        let quota = text(self, "quota", named::expression);
        let write_password = text(self, "write_password", named::column).and_then(|column| {
            let column = terms::of_first_table(&column, from.as_deref().unwrap_or_default(), database);
            self.keep(SECTION, "write_password", origin("write_password"), column)
        });
        let (mut find, mut key) = (None, self.key(SECTION, texts.accounts.get("key"), origin("key")));
        if let Some(Ok(condition)) = texts.accounts.get("find").map(|find| find.sql().map(|sql| self.filled(&sql))) {
            let (finding, other) = terms::split(&condition, database);
            let checked = named::condition(&condition, database, OF_ACCOUNT);
            if self.keep(SECTION, "find", origin("find"), checked).is_some() {
                find = named::condition(&finding, database, OF_ACCOUNT).ok();
                if key.is_empty() {
                    key = terms::columns_of(&finding, database);
                }
                filter = match (filter, other) {
                    (Some(one), Some(other)) => Some(terms::both(&one, &other, database)),
                    (one, other) => one.or(other),
                };
            }
        }
        if write_password.is_some() && key.is_empty() {
            let problem = "needs the columns of a unique index over the first table of from; set key too".to_owned();
            self.fault(SECTION, "write_password", problem);
        }
        ForeignAccounts {
            from: from.unwrap_or_default(),
            find: find.unwrap_or_else(|| NamedSql { sql: String::new(), parameters: Vec::new() }),
            filter,
            key,
            fields,
            quota: quota
                .map(|sql| QuotaText { sql, plain_is_bytes: self.flag(texts, "quota_plain_is_bytes", changes) }),
            options_disable_services: self.flag(texts, "options_disable_services", changes),
            write_password,
        }
    }

    fn flag(&mut self, texts: &Texts, key: &str, changes: &overrides::Changes) -> bool {
        let setting = texts.accounts.get(key).map(Setting::flag);
        setting.and_then(|flag| self.keep("schema.accounts", key, changes.origin(key), flag)).unwrap_or(false)
    }

    /// Returns the columns of a key; none if it is not set.
    fn key(&mut self, section: &'static str, setting: Option<&Setting>, origin: Origin) -> Vec<String> {
        let Some(setting) = setting else { return Vec::new() };
        let database = self.database;
        let columns = setting.list().and_then(|list| {
            list.iter().map(|column| named::column(&self.filled(column), database)).collect::<Result<Vec<_>, _>>()
        });
        self.keep(section, "key", origin, columns).unwrap_or_default()
    }

    /// Returns the query and the listing of a section; `None` if the tables hold no such rows.
    fn rows(
        &mut self,
        section: &'static str,
        rows: &Rows,
        origin: Origin,
        parameters: &[Parameter],
    ) -> Option<(NamedSql, Option<Vec<Listing>>)> {
        if let Some(find) = rows.find.as_deref() {
            return self.selected(section, &self.filled(find), origin, parameters);
        }
        if rows.parts.is_empty() || rows.parts.iter().any(|part| self.needs_domains(part)) {
            return None;
        }
        let parts: Result<Vec<_>, _> = rows.parts.iter().map(|part| self.part(part, rows.parts.len() == 1)).collect();
        let parts = self.keep(section, "parts", origin, parts)?;
        let text: Vec<_> = parts.iter().map(|(find, _)| find.as_str()).collect();
        let find = named::with_question_marks(&text.join(" UNION ALL "), self.database);
        let find = self.keep(section, "parts", origin, find)?;
        Some((find, Some(parts.into_iter().filter_map(|(_, listing)| listing).collect())))
    }

    /// Returns the same for a whole `SELECT`.
    fn selected(
        &mut self,
        section: &'static str,
        find: &str,
        origin: Origin,
        parameters: &[Parameter],
    ) -> Option<(NamedSql, Option<Vec<Listing>>)> {
        if find.trim().is_empty() {
            return None;
        }
        let named = self.keep(section, "find", origin, named::statement(find, self.database, parameters))?;
        let key = self.key(section, overrides::key(self.schema, section), Origin::Configuration);
        // Each alias may have several rows, so that the columns that find it need not be those of a unique index.
        if key.is_empty() && section == ALIASES {
            return Some((named, None));
        }
        let is_given = !key.is_empty();
        let list = terms::listing(find, key, self.database);
        if list.is_none() && is_given {
            let problem = "cannot be used, because find is more than a SELECT from tables where columns have the value \
                           of a parameter; leave the key out";
            self.fault(section, "key", problem.to_owned());
        }
        Some((named, list.map(|list| vec![list])))
    }

    /// Returns true if the part has a list of domains in it, and the list is empty.
    fn needs_domains(&self, part: &Part) -> bool {
        let is_empty =
            |name: &str| self.values.get(name).is_some_and(|value| value.domains.as_ref().is_some_and(Vec::is_empty));
        names_in(&part.from).into_iter().any(is_empty)
    }

    /// Returns the `SELECT` of a part, and how its rows are listed.
    fn part(&self, part: &Part, is_only: bool) -> Result<(String, Option<Listing>), String> {
        let database = self.database;
        let (tables, expression): (Check, Check) = match part.list {
            true => (named::tables, named::expression),
            false => (named::tables_with_parameters, named::expression_with_parameters),
        };
        let from = tables(&self.filled(&part.from), database)?;
        let filter = part.filter.as_ref().map(|text| expression(&self.filled(text), database)).transpose()?;
        let [first, second] = &part.columns;
        let columns = [expression(&self.filled(first), database)?, expression(&self.filled(second), database)?];
        let find = named::expression_with_parameters(&self.filled(&part.find), database)?;
        let condition = filter.as_ref().map_or_else(|| find.clone(), |filter| terms::both(filter, &find, database));
        let mut select = format!("SELECT {}, {} FROM {from} WHERE {condition}", columns[0], columns[1]);
        if let Some(order) = &part.order {
            if !is_only {
                return Err("has an order although it is not the only part".to_owned());
            }
            select.push_str(&format!(" ORDER BY {}", named::order(&self.filled(order), database)?));
        }
        if !part.list {
            return Ok((select, None));
        }
        let key = part.key.iter().map(|column| named::column(&self.filled(column), database));
        let key = key.collect::<Result<Vec<_>, _>>()?;
        if key.is_empty() {
            return Err("has no key although it is listed".to_owned());
        }
        Ok((select, Some(Listing { from, filter, columns, key })))
    }

    /// Returns the tables and columns that are read, with the table of each domain of a list.
    fn reads(&self, texts: &Texts) -> Vec<TableColumns> {
        let domains = self.values.values().filter_map(|value| value.domains.as_ref()).flatten();
        let tables: Vec<_> = domains.map(|domain| table_of(domain)).collect();
        let names = |name: &str| match name {
            "{table}" => tables.iter().map(|table| self.prefixed(table)).collect(),
            name => vec![self.prefixed(name)],
        };
        let rows =
            texts.reads.iter().flat_map(|(name, columns)| names(name).into_iter().map(move |name| (name, columns)));
        rows.map(|(table, columns)| TableColumns { table, columns: columns.clone() }).collect()
    }

    fn versions(&self) -> Vec<(String, String)> {
        self.profile.versions.iter().map(|(column, version)| (self.prefixed(column), version.clone())).collect()
    }

    fn prefixed(&self, table: &str) -> String {
        format!("{}{table}", self.values.get("prefix").map_or("", |prefix| &prefix.text))
    }

    fn defaults(&self) -> Vec<(String, String, toml::Value)> {
        let value = |value: &toml::Value| match value {
            toml::Value::String(text) => toml::Value::String(self.filled(text)),
            other => other.clone(),
        };
        let split = |(name, default): (&String, &toml::Value)| {
            let (section, key) = name.split_once('.')?;
            Some((section.to_owned(), key.to_owned(), value(default)))
        };
        self.profile.defaults.iter().filter_map(split).collect()
    }
}

fn missing(profile: &str, parameter: &ProfileParameter) -> String {
    format!("is not set, and the profile {profile} needs it; write {}", parameter.meaning)
}

/// Returns the keys that `accounts` must have, and lacks.
pub(super) fn lacking(accounts: &BTreeMap<String, Setting>) -> Vec<&'static str> {
    let is_there = |key: &str| accounts.get(key).is_some_and(|setting| *setting != Setting::Text(String::new()));
    ["from", "find", "login", "password"].into_iter().filter(|key| !is_there(key)).collect()
}
