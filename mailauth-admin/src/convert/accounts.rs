//! What a conversion finds out about accounts: the terms of `[schema.accounts]`, and the values of other sections.

use super::connection::Connection;
use super::dialect::Dialect;
use super::findings::Place;
use super::joined_text::Value;
use super::recognize::Recognized;
use mailauth_core::printable::printable;
use std::collections::BTreeSet;

/// A term of `[schema.accounts]`.
#[derive(Clone, Debug)]
pub struct Term {
    /// Name of the key.
    pub key: &'static str,
    /// The SQL.
    pub sql: String,
    /// What it is made of, as it is written in the old file.
    pub old: String,
    /// The key of the old file.
    pub place: Place,
}

/// A value of another section.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Name of the key.
    pub key: &'static str,
    /// The value in TOML.
    pub value: String,
    /// A comment above it.
    pub comment: String,
}

/// The accounts of the old file.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    pub terms: Vec<Term>,
    /// Values for `[mailbox]`.
    pub mailbox: Vec<Setting>,
    /// Names of tables and columns that the old file uses.
    pub names: BTreeSet<String>,
}

impl Accounts {
    pub fn add(&mut self, key: &'static str, sql: impl Into<String>, old: impl Into<String>, place: &Place) {
        self.terms.push(Term { key, sql: sql.into(), old: old.into(), place: place.clone() });
    }

    /// Adds a value that is the same for all rows, or an expression of the row.
    pub fn add_value(&mut self, key: &'static str, value: Value, old: &str, place: &Place) {
        match value {
            Value::Template(text) => self.set(key, quoted_toml(&text), format!("{}: {old}", place.key)),
            Value::Sql(sql) => self.add(key, sql, old, place),
        }
    }

    /// Sets a key of `[mailbox]`, unless it is set.
    pub fn set(&mut self, key: &'static str, value: String, comment: String) {
        if !self.mailbox.iter().any(|setting| setting.key == key) {
            self.mailbox.push(Setting { key, value, comment });
        }
    }

    pub fn term(&self, key: &str) -> Option<&Term> {
        self.terms.iter().find(|term| term.key == key)
    }
}

/// Returns the text as a basic string of TOML.
pub fn quoted_toml(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if printable(c.encode_utf8(&mut [0; 4])) != c.to_string() => {
                quoted.push_str(&format!("\\U{:08X}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A converted file.
#[derive(Debug)]
pub struct Conversion {
    /// The kind of the old file.
    pub kind: &'static str,
    pub dialect: Dialect,
    pub connection: Connection,
    pub profile: Recognized,
    /// The accounts; empty if the old file says nothing of them.
    pub accounts: Accounts,
    /// `[password] default_scheme`.
    pub default_scheme: String,
    /// `[login] default_domain`.
    pub default_domain: Option<String>,
}
