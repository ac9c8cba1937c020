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
    assemble_from(schema, &profile, database)
}

/// Does the same as [`assemble`] with a profile that has been read.
fn assemble_from(
    schema: &SchemaConfig,
    profile: &Profile,
    database: DatabaseKind,
) -> Result<Assembled, Vec<SchemaFault>> {
    let mut work = Work { schema, profile, database, values: Values::new(), faults: Vec::new() };
    work.read_values();
    if !profile.databases.contains(&database) {
        work.fault("schema", "profile", other_database(schema, profile, database));
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
        // The text for each domain may have the prefix in it.
        let single = self.values.clone();
        for list in self.values.values_mut().filter(|value| value.domains.is_some()) {
            list.text = filled(&list.text, &single);
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
            // The path / is empty where names follow it.
            toml::Value::String(text) => toml::Value::String(match self.filled(text) {
                filled if filled.is_empty() && !text.is_empty() => "/".to_owned(),
                filled => filled,
            }),
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

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = r#"
        program = "Mailer"
        databases = ["mysql", "postgres"]

        [parameters.domains]
        kind = "domains"
        meaning = "the domains that are kept here"
        template = "SELECT '{domain}' AS name, t.* FROM {prefix}{table} t"
        default = []

        [parameters.host]
        kind = "number"
        meaning = "the number of this host"

        [defaults]
        "mailbox.home" = "/srv/{host}/%d/%n"
        "mailbox.uid" = 89

        [accounts]
        from = "{prefix}users u"
        find = "u.login = :login AND u.host = {host}"
        where = "u.kind = 'a' OR u.kind = 'b'"
        login = "u.login"
        password = "u.hash"
        name = "u.name"

        [postgres.accounts]
        password = "encode(u.hash, 'escape')"
        name = ""

        [[domains.parts]]
        from = "({domains}) x"
        find = "x.name = :domain"
        columns = ["x.name", "1"]
        key = ["x.name"]

        [aliases]
        separator = "space"

        [[aliases.parts]]
        from = "{prefix}forwards f"
        find = "f.source = :address"
        columns = ["f.source", "f.target"]
        key = ["f.id"]

        [[aliases.parts]]
        from = "(SELECT :domain AS d) w"
        where = ":local = ''"
        find = "EXISTS (SELECT 1 FROM {prefix}all_of a WHERE a.d = w.d)"
        columns = ["CONCAT('@', w.d)", "'all@example.org'"]
        list = false

        [[postgres.aliases.parts]]
        from = "{prefix}forwards f"
        where = "f.live"
        find = "f.source = :address"
        columns = ["f.source", "f.target"]
        key = ["f.id"]
        order = "f.id"

        [reads]
        users = ["login", "hash"]
        "{table}" = ["name"]

        [versions]
        "users.host" = "Mailer 2"
    "#;

    fn schema(parameters: &[(&str, Setting)]) -> SchemaConfig {
        let parameters = parameters.iter().map(|(name, setting)| ((*name).to_owned(), setting.clone())).collect();
        SchemaConfig { profile: "mailer".to_owned(), parameters, ..SchemaConfig::default() }
    }

    fn assembled(schema: &SchemaConfig, database: DatabaseKind) -> Assembled {
        let profile = Profile::parse(PROFILE).unwrap();
        assemble_from(schema, &profile, database).unwrap_or_else(|faults| panic!("{faults:#?}"))
    }

    fn faults(profile: &str, database: DatabaseKind) -> Vec<String> {
        let profile = Profile::parse(profile).unwrap();
        let Err(faults) = assemble_from(&schema(&[("host", Setting::Number(7))]), &profile, database) else {
            panic!("no mistake")
        };
        faults.into_iter().map(|fault| format!("{} {}: {}", fault.section, fault.key, fault.problem)).collect()
    }

    #[test]
    fn terms_of_find_without_a_parameter_hold_for_each_account() {
        let accounts = assembled(&schema(&[("host", Setting::Number(7))]), DatabaseKind::Mysql).model.accounts;
        assert_eq!(accounts.find.sql, "u.login = ?");
        assert_eq!(accounts.filter.as_deref(), Some("(u.kind = 'a' OR u.kind = 'b') AND u.host = 7"));
        assert_eq!(accounts.key, ["u.login"]);
    }

    #[test]
    fn a_database_has_texts_of_its_own() {
        let model = assembled(&schema(&[("host", Setting::Number(7))]), DatabaseKind::Postgres).model;
        let field = |field| model.accounts.field(field);
        assert_eq!(field(Field::Password), Some("encode(u.hash, 'escape')"));
        assert_eq!((field(Field::Login), field(Field::Name)), (Some("u.login"), None));
        let aliases = model.aliases.unwrap();
        let sql = "SELECT f.source, f.target FROM forwards f WHERE f.live AND f.source = ? ORDER BY f.id";
        assert_eq!((aliases.find.sql.as_str(), aliases.separator), (sql, Separator::Space));
    }

    #[test]
    fn parts_are_joined_and_some_are_not_listed() {
        let parameters = [("host", Setting::Number(7)), ("prefix", Setting::Text("x_".to_owned()))];
        let aliases = assembled(&schema(&parameters), DatabaseKind::Mysql).model.aliases.unwrap();
        assert_eq!(
            aliases.find.sql,
            "SELECT f.source, f.target FROM x_forwards f WHERE f.source = ? UNION ALL SELECT CONCAT('@', w.d), \
             'all@example.org' FROM (SELECT ? AS d) w WHERE ? = '' AND EXISTS (SELECT 1 FROM x_all_of a WHERE a.d = w.d)"
        );
        assert_eq!(aliases.find.parameters, [Parameter::Address, Parameter::Domain, Parameter::Local]);
        assert_eq!(aliases.list.unwrap().len(), 1);
    }

    #[test]
    fn a_section_without_its_domains_is_left_out() {
        let host = ("host", Setting::Number(7));
        let model = assembled(&schema(std::slice::from_ref(&host)), DatabaseKind::Mysql).model;
        assert_eq!(model.domains, None);
        assert_eq!(model.reads.iter().map(|read| read.table.as_str()).collect::<Vec<_>>(), ["users"]);
        let names = Setting::List(vec!["a.example".to_owned(), "b-c.example".to_owned()]);
        let prefix = ("prefix", Setting::Text("x_".to_owned()));
        let model = assembled(&schema(&[host, prefix, ("domains", names)]), DatabaseKind::Mysql).model;
        assert_eq!(
            model.domains.unwrap().find.sql,
            "SELECT x.name, 1 FROM (SELECT 'a.example' AS name, t.* FROM x_a_example t UNION ALL SELECT 'b-c.example' AS \
             name, t.* FROM x_b_c_example t) x WHERE x.name = ?"
        );
        let tables: Vec<_> = model.reads.iter().map(|read| read.table.as_str()).collect();
        assert_eq!(tables, ["x_users", "x_a_example", "x_b_c_example"]);
        assert_eq!(model.versions, [("x_users.host".to_owned(), "Mailer 2".to_owned())]);
    }

    #[test]
    fn defaults_have_the_values_of_parameters_in_them() {
        let defaults = assembled(&schema(&[("host", Setting::Number(7))]), DatabaseKind::Mysql).defaults;
        let shown: Vec<_> = defaults.iter().map(|(section, key, value)| format!("{section}.{key} = {value}")).collect();
        assert_eq!(shown, ["mailbox.home = \"/srv/7/%d/%n\"", "mailbox.uid = 89"]);
    }

    #[test]
    fn a_database_that_the_program_does_not_have_is_refused() {
        assert_eq!(
            faults(PROFILE, DatabaseKind::Sqlite),
            [
                "schema profile: the tables of Mailer are known on MySQL, PostgreSQL only, but [database] url names SQLite; \
              write the URL of its database, or use the profile custom instead of mailer"
            ]
        );
    }

    #[test]
    fn a_fault_of_the_profile_names_its_text() {
        for (right, wrong, said) in [
            ("key = [\"x.name\"]", "", "schema profile: domains parts of the profile has no key although it is listed"),
            (
                "\"u.hash\"",
                "\"u.hash, 1\"",
                "schema profile: accounts password of the profile has a comma before \"1\"",
            ),
            (
                "list = false",
                "key = [\"w.d\"]",
                "schema profile: aliases parts of the profile has the parameter :domain",
            ),
            ("list = false", "list = false\norder = \"1\"", "has an order although it is not the only part"),
        ] {
            let profile = PROFILE.replace(right, wrong).replace("default = []", "default = ['a.example']");
            let found = faults(&profile, DatabaseKind::Mysql);
            assert!(found.len() == 1 && found[0].contains(said), "{found:#?}");
        }
    }
}
