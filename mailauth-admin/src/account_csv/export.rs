//! Writing accounts as CSV.

use super::rows::COLUMNS;
use crate::account_columns::show_quota;
use crate::failure::Failure;
use crate::listing::{INCOMPLETE, each_account};
use csv::WriterBuilder;
use mailauth_core::account::AccountRow;
use mailauth_core::store::Administration;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub const EXPORT_HELP: &str = "\
Print all accounts as CSV, in the form that 'mailauth account import' reads.

The output contains the stored passwords. A FILE is created so that only its owner can read it. If you redirect the \
output instead, protect the file yourself, for example with umask 077.";

/// Writes all accounts to a new file, or to the standard output.
pub fn export(store: &impl Administration, file: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = file else { return write(store, io::stdout().lock()) };
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        let hint =
            if error.kind() == io::ErrorKind::AlreadyExists { "; give another name, or remove the file" } else { "" };
        Failure::no(format!("{} cannot be created: {error}{hint}", path.display()))
    })?;
    write(store, BufWriter::new(created)).inspect_err(|_| {
        // An incomplete export must not be mistaken for a complete one.
        let _ = std::fs::remove_file(path);
    })
}

fn write(store: &impl Administration, out: impl Write) -> Result<(), Failure> {
    let mut writer = WriterBuilder::new().from_writer(out);
    writer.write_record(COLUMNS).map_err(unwritten)?;
    let unusable = each_account(store, None, |row| write_row(&mut writer, &row).map_err(unwritten))?;
    writer.flush()?;
    unusable.complain(INCOMPLETE)
}

fn unwritten(error: csv::Error) -> Failure {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        kind => Failure::not_now(format!("a row cannot be written: {kind:?}")),
    }
}

pub(super) fn write_row(writer: &mut csv::Writer<impl Write>, row: &AccountRow) -> csv::Result<()> {
    let number = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    writer.write_field(row.login.as_str())?;
    writer.write_field(row.password.0.expose())?;
    for value in [
        number(row.uid),
        number(row.gid),
        text(&row.home),
        text(&row.maildir),
        show_quota(row.quota_bytes, row.quota_messages),
        row.services.to_string(),
        text(&row.name),
        text(&row.options),
        if row.enabled { "yes" } else { "no" }.to_owned(),
        if row.receives { "yes" } else { "no" }.to_owned(),
    ] {
        writer.write_field(value)?;
    }
    writer.write_record(None::<&[u8]>)
}
