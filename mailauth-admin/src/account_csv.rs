//! `mailauth account import` and `export`: accounts as CSV.
//!
//! RFC 4180, with a header that names the columns: quotes around a value that holds a comma, a quote or a line break, a
//! quote doubled inside them, CRLF or LF between records; a byte order mark is left out. An empty value is what the
//! configuration says, or for `enabled` and `receives` yes.

mod export;
mod import;
mod rows;

pub use export::{EXPORT_HELP, export};
pub use import::{IMPORT_HELP, import};

#[cfg(test)]
mod tests;
