//! The new configuration as text, with the terms of the old file as comments.

use super::accounts::{Conversion, Setting, quoted_toml};
use super::findings::{Findings, Place};
use super::mailbox_root;
use super::profile_terms::{self, Profiled};
use mailauth_core::config::DatabaseUrl;
use mailauth_core::printable::brief;
use mailauth_core::schema::CUSTOM;

/// Maximum number of characters of a comment.
const MAX_COMMENT: usize = 300;

/// A configuration, with the key of the old file that each line is made of.
#[derive(Debug, Default)]
pub struct Document {
    lines: Vec<(String, Option<Place>)>,
}

impl Document {
    fn line(&mut self, text: impl Into<String>) {
        self.lines.push((text.into(), None));
    }

    fn comment(&mut self, text: &str) {
        if !text.is_empty() {
            let words: Vec<_> = text.split_whitespace().collect();
            self.line(format!("# {}", brief(&words.join(" "), MAX_COMMENT)));
        }
    }

    fn section(&mut self, name: &str) {
        self.line("");
        self.line(format!("[{name}]"));
    }

    fn settings(&mut self, section: &str, settings: &[Setting]) {
        if settings.is_empty() {
            return;
        }
        self.section(section);
        for setting in settings {
            self.comment(&setting.comment);
            self.line(format!("{} = {}", setting.key, setting.value));
        }
    }

    /// Returns the text.
    pub fn text(&self) -> String {
        self.lines.iter().map(|(line, _)| format!("{line}\n")).collect()
    }
}

/// Writes the configuration.
pub fn write(
    conversion: &Conversion,
    url: &DatabaseUrl,
    password_file: Option<&str>,
    file: &str,
    findings: &mut Findings,
) -> Document {
    let mut document = Document::default();
    document.comment(&format!("Converted from {}: {file}", conversion.kind));
    if !conversion.accounts.terms.is_empty() {
        document.comment("Each key is made of the term of the old file in the comment above it.");
    }
    database(&mut document, conversion, url, password_file);
    let profiled = profile_terms::of(conversion, url, findings);
    schema(&mut document, conversion, &profiled);
    let mut mailbox = conversion.accounts.mailbox.clone();
    mailbox.extend(mailbox_root::settings(conversion));
    const ORDER: [&str; 7] = ["home", "maildir", "root", "uid", "gid", "min_uid", "min_gid"];
    mailbox.sort_by_key(|setting| ORDER.iter().position(|key| *key == setting.key));
    document.settings("mailbox", &mailbox);
    document.section("password");
    document.comment("The scheme of stored values without a {PREFIX}.");
    document.line(format!("default_scheme = {}", quoted_toml(&conversion.default_scheme)));
    if let Some(domain) = &conversion.default_domain {
        document.section("login");
        document.line(format!("default_domain = {}", quoted_toml(domain)));
    }
    if !findings.warnings.is_empty() {
        document.line("");
        document.comment("Not taken over:");
        for warning in &findings.warnings {
            let line = if warning.line > 0 { format!("line {}, ", warning.line) } else { String::new() };
            document.line(format!("# - {line}{}", brief(&warning.without_file(), 1000)));
        }
    }
    document
}

fn database(document: &mut Document, conversion: &Conversion, url: &DatabaseUrl, password_file: Option<&str>) {
    let connection = &conversion.connection;
    document.section("database");
    document.lines.push((format!("url = {}", quoted_toml(&url.to_string())), Some(connection.place.clone())));
    if let Some(file) = password_file {
        document.line(format!("password_file = {}", quoted_toml(file)));
    }
    let tls = connection.tls.map(str::to_owned);
    let (ca, cert, key) = (&connection.tls_ca, &connection.tls_cert, &connection.tls_key);
    for (key, value) in [("tls", &tls), ("tls_ca", ca), ("tls_cert", cert), ("tls_key", key)] {
        if let Some(value) = value {
            let line = format!("{key} = {}", quoted_toml(value));
            document.lines.push((line, Some(connection.place.clone())));
        }
    }
}

fn schema(document: &mut Document, conversion: &Conversion, profiled: &Profiled) {
    document.section("schema");
    document.line(format!("profile = {}", quoted_toml(profiled.name)));
    for line in &profiled.parameters {
        document.line(line);
    }
    if conversion.accounts.terms.is_empty() {
        return;
    }
    document.section("schema.accounts");
    for term in &conversion.accounts.terms {
        if !term.old.is_empty() {
            document.comment(&format!("{}: {}", term.place.key, term.old));
        }
        document.lines.push((format!("{} = {}", term.key, quoted_toml(&term.sql)), Some(term.place.clone())));
        let is_plain = conversion.profile.program.is_some_and(|program| program.quota_in_bytes);
        if term.key == "quota" && is_plain && profiled.name != CUSTOM {
            document.comment("A number without a unit, from which Courier takes no limit, is in bytes here.");
            document.line("quota_plain_is_bytes = true");
        }
        if term.key == "options" {
            document.comment("Options such as disableimap=1 take services away.");
            document.line("options_disable_services = true");
        }
    }
    if let Some(key) = &profiled.key {
        document.comment("A unique index, by which accounts are listed.");
        document
            .line(format!("key = [{}]", key.iter().map(|column| quoted_toml(column)).collect::<Vec<_>>().join(", ")));
    }
    for unused in &profiled.unused {
        if let Some(own) = &unused.own {
            document.comment(&format!("The old file reads no {}. The profile's own: {own}", unused.key));
        }
        document.line(format!("{} = {}", unused.key, unused.value));
    }
}

impl Document {
    /// Returns the key of the old file that a line of the text is made of.
    pub fn origin(&self, line: usize) -> Option<(&str, &Place)> {
        let (text, place) = self.lines.get(line.checked_sub(1)?)?;
        Some((text, place.as_ref()?))
    }

    /// Returns the text of a line.
    pub fn line_at(&self, line: usize) -> &str {
        line.checked_sub(1).and_then(|index| self.lines.get(index)).map_or("", |(text, _)| text)
    }
}
