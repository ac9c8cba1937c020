//! `mailauth schema show`.

use super::{Grants, indexes};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Sheet, json, printable, say};
use mailauth_core::schema::references::References;
use mailauth_core::schema::{ForeignModel, Setting};
use mailauth_core::store::{Access, Administration, SqlStore, StatementPlan, StoreReport, TablePlan};
use serde::Serialize;
use std::collections::BTreeMap;

/// The tables and their statements in JSON.
#[derive(Serialize)]
struct ShownJson<'a> {
    profile: &'a str,
    program: &'a str,
    parameters: BTreeMap<&'a str, String>,
    database: String,
    statements: Vec<StatementJson<'a>>,
    grants: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    note: &'a Option<String>,
}

#[derive(Serialize)]
struct StatementJson<'a> {
    name: &'a str,
    section: &'a str,
    sql: &'a str,
    tables: Vec<TableJson<'a>>,
    /// True if it sorts all rows for each page of a list.
    sorts: bool,
    problems: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    unexplained: &'a Option<String>,
}

#[derive(Serialize)]
struct TableJson<'a> {
    table: &'a str,
    /// Name of the index; null if the table is read whole.
    index: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_index: Option<String>,
}

pub fn run(context: &Context, as_json: bool) -> Result<Exit, Failure> {
    let Some(model) = context.database.tables.foreign() else {
        if as_json {
            json(&serde_json::json!({ "profile": "own" }))?;
        } else {
            say("the tables are mailauth's own, which 'mailauth init' creates ([schema] profile = \"own\")")?;
        }
        return Ok(Exit::Yes);
    };
    let store = context.store()?;
    let report = store.report()?;
    let grants = grants(context, &store, model, &report);
    let plans = report.foreign.map(|foreign| foreign.plans).unwrap_or_default();
    let database = context.database.url.to_string();
    if as_json {
        json(&ShownJson {
            profile: &model.profile,
            program: &model.program,
            parameters: context
                .config
                .schema
                .parameters
                .iter()
                .map(|(name, value)| (name.as_str(), text(value)))
                .collect(),
            database,
            statements: plans.iter().map(StatementJson::of).collect(),
            grants: &grants.statements,
            note: &grants.note,
        })?;
    } else {
        let mut sheet = Sheet::new();
        sheet.line("profile", format_args!("{}: the tables of {}", model.profile, model.program));
        sheet.line("database", database);
        for (name, value) in &context.config.schema.parameters {
            sheet.line("parameter", format_args!("{name} = {}", text(value)));
        }
        say(sheet)?;
        for plan in &plans {
            say(format_args!("\n{}", in_words(plan)))?;
        }
        say(format_args!("\n{}", script(&grants)))?;
    }
    let is_refused = plans.iter().any(|plan| !plan.problems.is_empty());
    Ok(if is_refused { Exit::No } else { Exit::Yes })
}

/// Returns the value of a parameter.
fn text(value: &Setting) -> String {
    match value {
        Setting::Flag(flag) => flag.to_string(),
        Setting::Number(number) => number.to_string(),
        Setting::Text(text) => text.clone(),
        Setting::List(list) => list.join(", "),
    }
}

/// Returns the rights that reading the tables needs.
fn grants(context: &Context, store: &SqlStore, model: &ForeignModel, report: &StoreReport) -> Grants {
    let accounts = &model.accounts;
    let references = References::of(&format!("SELECT 1 FROM {}", accounts.from));
    let first = references.tables.first().map(|named| named.table.as_str());
    let write_password = accounts.write_password.as_deref().and_then(|column| Some((first?, column)));
    Grants::of(store, &context.database.url, report, write_password)
}

/// Returns what is said about a statement.
fn in_words(plan: &StatementPlan) -> String {
    let what = match plan.name {
        "find" => "an account by its login",
        "find_domain" => "a domain",
        "find_alias" => "the targets of an address",
        "find_alias_domain" => "the domain that an alias domain leads to",
        "list_accounts" => "a page of all accounts",
        "list_domains" => "a page of all domains",
        "list_aliases" => "a page of all aliases",
        _ => "a page of all alias domains",
    };
    let mut lines = vec![format!("{}: {what}, from [{}]", plan.name, plan.section), format!("  {}", plan.sql)];
    lines.extend(plan.problems.iter().map(|problem| format!("  is refused: {problem}")));
    lines.extend(plan.unexplained.iter().map(|why| format!("  is run, but not explained: {why}")));
    lines.extend(indexes::sentences(plan).iter().map(|sentence| format!("  {sentence}")));
    if plan.tables.is_empty() && plan.problems.is_empty() && plan.unexplained.is_none() {
        lines.push("  reads no row: a unique index has none for the example that was asked about".to_owned());
    }
    lines.join("\n")
}

/// Returns the statements that permit reading, to be pasted, or what to do without them.
fn script(grants: &Grants) -> String {
    let Some(note) = &grants.note else {
        let head = "-- To be run by an administrator of the database, for a user that may read exactly this:";
        let statements = grants.statements.iter().map(|statement| format!("\n{};", printable(statement)));
        return format!("{head}{}", statements.collect::<String>());
    };
    note.clone()
}

impl<'a> StatementJson<'a> {
    fn of(plan: &'a StatementPlan) -> Self {
        let StatementPlan { name, section, sql, tables, problems, unexplained, .. } = plan;
        let sorts = plan.sorts_pages();
        let tables = tables.iter().map(TableJson::of).collect();
        StatementJson { name, section, sql, tables, sorts, problems, unexplained }
    }
}

impl<'a> TableJson<'a> {
    fn of(plan: &'a TablePlan) -> Self {
        let index = match &plan.access {
            Access::Index(index) | Access::InOrder(index) => Some(index.as_str()),
            Access::Scan => None,
        };
        TableJson { table: &plan.table, index, rows: plan.rows, create_index: indexes::create_index(plan) }
    }
}
