//! From the bytes of an old file to the text of a configuration.

use super::accounts::Conversion;
use super::document::{self, Document};
use super::findings::{Findings, Place};
use super::format::{self, Format};
use super::{courier, dovecot_23, dovecot_24, mailbox_root, vpopmail};
use mailauth_core::Secret;
use mailauth_core::config::Config;
use mailauth_core::schema::Field;
use std::path::Path;

/// The result of a conversion.
#[derive(Debug, Default)]
pub struct Translated {
    /// The configuration; empty if the file is refused.
    pub text: String,
    /// The password of the database user.
    pub password: Secret,
    pub findings: Findings,
}

impl Translated {
    pub fn has_password(&self) -> bool {
        !self.password.expose().is_empty()
    }
}

/// Translates the bytes of a file. `password_file` is where its password will be.
pub fn translate(name: &str, bytes: &[u8], password_file: &str) -> Translated {
    let mut translated = Translated::default();
    let findings = &mut translated.findings;
    let text = text(bytes, findings);
    let Some((conversion, url)) = conversion(name, &text, findings) else { return translated };
    let file = match (&conversion.connection.password_file, conversion.connection.password.expose().is_empty()) {
        (Some(file), _) => Some(file.as_str()),
        (None, false) => Some(password_file),
        (None, true) => None,
    };
    if !findings.refusals.is_empty() {
        // What the daemon would refuse is added. What is missing follows from the other refusals.
        let mut more = Findings::default();
        let document = document::write(&conversion, &url, file, name, &mut more);
        check(&document, &mut more);
        findings.refusals.extend(more.refusals.into_iter().filter(|refusal| refusal.line > 0));
        return translated;
    }
    let document = document::write(&conversion, &url, file, name, findings);
    check(&document, findings);
    // The comments name every warning, also those of the check.
    let document = document::write(&conversion, &url, file, name, findings);
    if findings.refusals.is_empty() {
        translated.text = document.text();
        translated.password = conversion.connection.password;
    }
    translated
}

/// Returns the text of a file. Lines that are no UTF-8 are refused, unless they are comments.
fn text(bytes: &[u8], findings: &mut Findings) -> String {
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if std::str::from_utf8(line).is_err() && !line.trim_ascii_start().starts_with(b"#") {
            findings.refuse(&Place::new("", index + 1), "is not UTF-8; convert the file with iconv first");
        }
        if line.contains(&0) {
            findings.refuse(&Place::new("", index + 1), "contains a NUL byte");
        }
    }
    String::from_utf8_lossy(bytes).replace('\0', " ")
}

fn conversion(
    name: &str,
    text: &str,
    findings: &mut Findings,
) -> Option<(Conversion, mailauth_core::config::DatabaseUrl)> {
    let base = Path::new(name).file_name().map_or(name.into(), |name| name.to_string_lossy());
    let format = findings.value(&Place::file(), format::of(&base, text))?;
    let mut conversion = match format {
        Format::Courier(dialect) => courier::convert(text, dialect, findings),
        Format::Dovecot23 => dovecot_23::convert(text, findings)?,
        Format::Dovecot24 => dovecot_24::convert(text, findings)?,
        Format::Vpopmail(dialect) => vpopmail::convert(text, dialect, findings),
    };
    mailbox_root::complete_home(&mut conversion.accounts);
    let url = conversion.connection.url(conversion.dialect, findings)?;
    Some((conversion, url))
}

/// Reads the configuration as the daemon does, and reports what it would refuse under the key of the old file.
fn check(document: &Document, findings: &mut Findings) {
    let errors = match Config::parse(&document.text(), Path::new("mailauth.toml")) {
        Ok(config) => {
            let owners = [("uid", Field::Uid, config.mailbox.uid), ("gid", Field::Gid, config.mailbox.gid)];
            let model = config.database.tables.foreign();
            for (key, field, value) in owners {
                if value.is_none() && model.is_some_and(|model| model.accounts.field(field).is_none()) {
                    let text = format!("does not say the {key} of mailboxes; set [mailbox] {key}");
                    findings.warn(&Place::file(), text);
                }
            }
            let has_key = |model: &mailauth_core::schema::ForeignModel| !model.accounts.key.is_empty();
            if config.database.tables.foreign().is_some_and(|model| !has_key(model)) {
                findings.warn(
                    &Place::file(),
                    "does not say which columns identify an account, so accounts cannot be listed; set [schema.accounts] \
                     key to the columns of a unique index",
                );
            }
            return;
        }
        Err(errors) => errors,
    };
    for mistake in errors.mistakes {
        let line = mistake.position.map_or(0, |position| position.line);
        let key = mistake.key.clone().unwrap_or_default();
        // A user or group may be created later, or exist on another machine.
        if key == "[mailbox] uid" || key == "[mailbox] gid" {
            findings.warn(&Place::new(key, 0), mistake.problem.clone());
            continue;
        }
        match document.origin(line) {
            Some((_, place)) => findings.refuse(place, format!("cannot be taken over: {key} {}", mistake.problem)),
            None => {
                let place = Place::file();
                let text = format!("cannot be converted: {} in \"{}\"", mistake, document.line_at(line));
                findings.refuse(&place, text);
            }
        }
    }
}
