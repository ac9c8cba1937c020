//! `mailauth convert`: a configuration from that of another program.

mod accounts;
mod condition;
mod connection;
mod courier;
mod courier_clause;
mod courier_file;
mod dialect;
mod document;
mod dovecot_23;
mod dovecot_24;
mod dovecot_blocks;
mod dovecot_lines;
mod finding_terms;
mod findings;
mod format;
mod forms;
mod joined_text;
mod joins;
mod libpq;
mod mailbox_fields;
mod mailbox_root;
mod new_files;
mod profile_terms;
mod queries;
mod recognize;
mod select;
mod services;
#[cfg(test)]
mod tests;
mod tokens;
mod translate;
mod variables;
mod vpopmail;

use crate::failure::{Exit, Failure};
use crate::output::{json, remark, speaks_json};
use clap::Args;
use new_files::{NewFiles, write};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use translate::{Translated, translate};

/// Maximum number of bytes of a file.
const MAX_FILE: u64 = 1 << 20;

/// Where the password is expected if it is not written to a file.
const PASSWORD_FILE: &str = "/etc/mailauth/database.password";

/// Make a configuration from that of Courier's authdaemond, Dovecot or vpopmail
///
/// Reads authmysqlrc, authpgsqlrc, authsqliterc, dovecot-sql.conf.ext, dovecot.conf of Dovecot 2.4, vpopmail.mysql or
/// vpopmail.pgsql, and prints a configuration that reads the same tables and decides as before. What cannot be taken over
/// is in a comment at its end, and on the standard error. A file that would let in accounts that were kept out is
/// refused. The file is only read.
#[derive(Args)]
pub struct Convert {
    /// The file to convert
    file: PathBuf,
    /// Write the configuration to this file (mode 0640), and the password of the database user to database.password in
    /// the same folder (mode 0600)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace existing files
    #[arg(long, requires = "out")]
    force: bool,
}

impl Convert {
    pub fn run(self) -> Result<Exit, Failure> {
        let bytes = read(&self.file)?;
        let name = self.file.to_string_lossy();
        let files = self.out.as_deref().map(|out| NewFiles::beside(out, self.force)).transpose()?;
        let password_file = files.as_ref().map_or(PASSWORD_FILE.to_owned(), NewFiles::password_file);
        let translated = translate(&name, &bytes, &password_file);
        let findings = &translated.findings;
        let shown = |kind: &'static str, finding: &findings::Finding| format!("{kind}: {}", finding.in_file(&name));
        findings.warnings.iter().for_each(|warning| remark(shown("warning", warning)));
        findings.notes.iter().for_each(|note| remark(shown("note", note)));
        if !findings.refusals.is_empty() {
            let lines: Vec<_> = findings.refusals.iter().map(|refusal| refusal.in_file(&name)).collect();
            return Err(Failure::no(format!("{}\nnothing was converted", lines.join("\n"))));
        }
        match files {
            Some(files) => write(&files, &translated)?,
            None => print(&translated)?,
        }
        Ok(Exit::Yes)
    }
}

/// Reads the file.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Failure::usage(format!(
            "{} has more than {MAX_FILE} bytes; check that it is a configuration",
            path.display()
        )));
    }
    Ok(bytes)
}

fn print(translated: &Translated) -> Result<(), Failure> {
    if translated.has_password() {
        remark(format_args!(
            "note: the password of the database user is not printed; write it to {PASSWORD_FILE} (mode 0600), or use --out"
        ));
    }
    if speaks_json() {
        return json(&serde_json::json!({ "configuration": translated.text }));
    }
    let mut out = io::stdout().lock();
    out.write_all(translated.text.as_bytes())?;
    Ok(out.flush()?)
}
