//! `mailauth account import` and `export`: accounts as CSV.
//!
//! The format is that of RFC 4180, with a header that names the columns: a value that contains a comma, a quote or a line
//! break is in quotes, a quote inside them is doubled, and records end with CRLF or LF; a byte order mark is ignored. An
//! empty value means the default of the configuration, or yes for `enabled` and `receives`.

mod export;
mod import;
mod rows;

pub use export::{EXPORT_HELP, export};
pub use import::{IMPORT_HELP, import};

#[cfg(test)]
mod tests;
