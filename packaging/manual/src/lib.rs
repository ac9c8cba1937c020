//! The manual pages and the completions, made from what the programs print for `--help`, the sample of the configuration,
//! the comments of the protocol, and a few texts in `pages/`.

mod commands;
mod completions;
mod configuration;
pub mod document;
mod help_text;
mod markdown;
mod page;
mod programs;
mod protocol;
mod sample;
mod supplements;

use document::Document;
use std::fs;
use std::io;
use std::path::Path;

/// The list of changes, whose latest version has the date of the pages.
const CHANGES: &str = include_str!("../../../CHANGELOG.md");

/// Returns all manual pages.
#[must_use]
pub fn pages() -> Vec<Document> {
    let mut pages = commands::pages(mailauth_admin::command());
    pages.extend(programs::pages());
    pages.push(configuration::page());
    pages.push(protocol::page());
    supplements::add(&mut pages);
    pages
}

/// Writes `man/manN/NAME.N` and `completions/SHELL/...` below `folder`.
///
/// # Errors
/// Fails if a folder or a file cannot be written.
pub fn write(folder: &Path) -> io::Result<()> {
    for page in pages() {
        let directory = folder.join(format!("man/man{}", page.part));
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(page.file_name(&page.name)), page::roff(&page, date()))?;
        for name in &page.other_names {
            fs::write(directory.join(page.file_name(name)), page::link(&page))?;
        }
    }
    completions::write(&folder.join("completions"))
}

/// Returns the date of the latest version. The pages do not have that of the build, which would be another one each time.
fn date() -> &'static str {
    let versions = CHANGES.lines().filter(|line| line.starts_with("## ["));
    versions.filter_map(|line| line.split_once(" - ")).map(|(_, date)| date).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
