//! What the profile adds to the terms of the old file, and what it would decide in another way.

use super::accounts::{Conversion, quoted_toml};
use super::findings::{Findings, Place};
use super::mailbox_root::mail_root;
use super::recognize::Program;
use super::tokens::{Kind, Tokens, tokenize};
use mailauth_core::config::{Config, DatabaseUrl};
use mailauth_core::schema::{CUSTOM, Field, ForeignModel, ParameterKind, Profile, ProfileParameter};
use std::path::Path;

/// The profile of a configuration.
#[derive(Debug)]
pub struct Profiled {
    /// Its name.
    pub name: &'static str,
    /// Its parameters as lines of the configuration.
    pub parameters: Vec<String>,
    /// The columns of a unique index over the table with the accounts, with the name that the old file has for it.
    pub key: Option<Vec<String>>,
    /// Keys of the profile that the old file has nothing for.
    pub unused: Vec<Unused>,
}

/// A key of the profile that is switched off.
#[derive(Debug)]
pub struct Unused {
    pub key: &'static str,
    /// The value in TOML.
    pub value: &'static str,
    /// The profile's own expression.
    pub own: Option<String>,
}

/// Returns what the profile adds, and reports what it means.
pub fn of(conversion: &Conversion, url: &DatabaseUrl, findings: &mut Findings) -> Profiled {
    let custom = Profiled { name: CUSTOM, parameters: Vec::new(), key: None, unused: Vec::new() };
    let known = conversion.profile.program.and_then(|program| {
        let parameters = parameters(conversion, program, findings)?;
        let model = model(program, &parameters, url)?;
        Some((program, parameters, model))
    });
    let Some((program, parameters, model)) = known else {
        findings.warn(
            &Place::file(),
            "no profile has these tables; domains and aliases are unknown: set [schema.domains] find and \
             [schema.aliases] find if the database has them",
        );
        return custom;
    };
    let mut profiled = Profiled { name: program.profile, parameters, ..custom };
    if conversion.accounts.terms.is_empty() {
        return profiled;
    }
    profiled.key = key(conversion, program, &model);
    profiled.unused = unused(conversion, &model);
    explain(conversion, program, &model, findings);
    profiled
}

/// Returns the parameters of the profile that have no default, as lines.
fn parameters(conversion: &Conversion, program: &Program, findings: &mut Findings) -> Option<Vec<String>> {
    let profile = Profile::named(program.profile)?.ok()?;
    let mut lines = Vec::new();
    for (name, parameter) in &profile.parameters {
        let value = match parameter.default {
            Some(_) if name == "prefix" && !conversion.profile.prefix.is_empty() => {
                quoted_toml(&conversion.profile.prefix)
            }
            Some(_) => continue,
            None => value(conversion, name, parameter, findings),
        };
        lines.push(format!("{name} = {value}"));
    }
    Some(lines)
}

fn value(conversion: &Conversion, name: &str, parameter: &ProfileParameter, findings: &mut Findings) -> String {
    match parameter.kind {
        ParameterKind::Path => quoted_toml(&mail_root(conversion)),
        ParameterKind::Number => number_in_condition(conversion, name).unwrap_or_else(|| {
            let text = format!("does not say {name}, {}; 1 is assumed, for domains and aliases", parameter.meaning);
            findings.warn(&Place::file(), text);
            "1".to_owned()
        }),
        ParameterKind::Word | ParameterKind::Prefix => "\"\"".to_owned(),
        ParameterKind::Domains => "[]".to_owned(),
    }
}

/// Returns the number that a column is compared with in the condition of the old file.
fn number_in_condition(conversion: &Conversion, column: &str) -> Option<String> {
    let sql = &conversion.accounts.term("where").or_else(|| conversion.accounts.term("find"))?.sql;
    let list = tokenize(sql, conversion.dialect).ok()?;
    let tokens = Tokens::new(sql, &list);
    list.windows(3).find_map(|window| match window {
        [name, equal, number] if tokens.is(name, column) && tokens.is(equal, "=") => {
            let number = tokens.text_of(number).trim_matches('\'');
            (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then(|| number.to_owned())
        }
        _ => None,
    })
}

/// Returns the model of the profile alone.
fn model(program: &Program, parameters: &[String], url: &DatabaseUrl) -> Option<ForeignModel> {
    let text = format!(
        "[database]\nurl = {}\n[schema]\nprofile = {}\n{}\n",
        quoted_toml(&url.to_string()),
        quoted_toml(program.profile),
        parameters.join("\n")
    );
    let config = Config::parse(&text, Path::new("profile")).ok()?;
    config.database.tables.foreign().cloned()
}

/// Returns the columns of the profile's key under the name that the old file has for the table, if that table is the
/// first.
fn key(conversion: &Conversion, program: &Program, model: &ForeignModel) -> Option<Vec<String>> {
    let from = &conversion.accounts.term("from")?.sql;
    let list = tokenize(from, conversion.dialect).ok()?;
    let tokens = Tokens::new(from, &list);
    let first = list.first()?;
    let table = tokens.text_of(first);
    let full = format!("{}{}", conversion.profile.prefix, program.table);
    if table.trim_matches(['`', '"']) != full || model.accounts.key.is_empty() {
        return None;
    }
    const NO_ALIAS: [&str; 13] = [
        "JOIN",
        "INNER",
        "LEFT",
        "CROSS",
        "NATURAL",
        "STRAIGHT_JOIN",
        "ON",
        "USING",
        "RIGHT",
        "FULL",
        "USE",
        "FORCE",
        "IGNORE",
    ];
    let after = match list.get(1) {
        Some(second) if tokens.is(second, "AS") => list.get(2),
        second => second,
    };
    let is_alias = |token: &&super::tokens::Token| {
        matches!(token.kind, Kind::Word | Kind::Name) && !NO_ALIAS.iter().any(|word| tokens.is(token, word))
    };
    let name = after.filter(is_alias).map_or(table, |alias| tokens.text_of(alias));
    let columns = model.accounts.key.iter().map(|column| column.rsplit('.').next().unwrap_or(column));
    Some(columns.map(|column| format!("{name}.{column}")).collect())
}

/// Returns the keys of the profile that the old file has nothing for. They would read tables that it does not read.
fn unused(conversion: &Conversion, model: &ForeignModel) -> Vec<Unused> {
    let has = |key: &str| conversion.accounts.term(key).is_some();
    let mut unused = Vec::new();
    let mut add = |key, own: Option<&str>| {
        if let Some(own) = own.filter(|_| !has(key)) {
            unused.push(Unused { key, value: "\"\"", own: Some(own.to_owned()) });
        }
    };
    add("where", model.accounts.filter.as_deref());
    for field in Field::READ {
        add(field.name(), model.accounts.field(field));
    }
    let has_numbers = has("quota_bytes") || has("quota_messages");
    add("quota", model.accounts.quota.as_ref().map(|quota| quota.sql.as_str()).filter(|_| !has_numbers));
    if model.accounts.options_disable_services && !has("options") {
        unused.push(Unused { key: "options_disable_services", value: "false", own: None });
    }
    unused.retain(|unused| !(has("quota") && unused.key.starts_with("quota_")));
    unused
}

/// Says where the domains are, and what the profile refuses although the old file does not.
fn explain(conversion: &Conversion, program: &Program, model: &ForeignModel, findings: &mut Findings) {
    let what = match (model.domains.is_some(), model.aliases.is_some()) {
        (true, true) => "domains and aliases are not in this file; they are read",
        (true, false) => "domains are not in this file; they are read",
        _ => "",
    };
    if what.is_empty() {
        let text = format!("the tables of {} hold no domains and aliases", program.name);
        findings.note(&Place::file(), text);
    } else {
        findings.note(&Place::file(), format!("{what} as the profile {} has them", program.profile));
    }
    let names = &conversion.accounts.names;
    for (columns, meaning) in program.stricter {
        if !columns.split('.').all(|column| names.contains(column)) {
            let text = format!(
                "the profile {} alone is stricter: it also keeps to {meaning}; this file does not, so accounts are decided \
                 as before; without [schema.accounts], the profile decides",
                program.profile
            );
            findings.note(&Place::file(), text);
        }
    }
}
