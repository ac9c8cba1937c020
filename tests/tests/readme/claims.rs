//! What the pages claim is true: commands, configuration keys, files, links, reasons and messages exist.

use super::host::is_in_repository;
use super::page::{self, Kind as PieceKind, page, pages, text_of};
use super::{ACCOUNTS, CHECKPASSWORD, COURIER, DATABASES, EXIM, INSTALL};
use mailauth_core::answer::{No, NotNow};
use mailauth_tests::{program, run};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const AMAVIS: &str = "docs/amavis.md";
const CYRUS_SASL: &str = "docs/cyrus-sasl.md";
const DOVECOT: &str = "docs/dovecot.md";
const EXIM_DEBIAN: &str = "docs/exim-debian.md";
const OWN_TABLE: &str = "docs/own-table.md";
const POSTFIX: &str = "docs/postfix.md";
const POSTFIX_MAPS: &str = "docs/postfix-maps.md";
const QUOTAS: &str = "docs/quotas.md";
const TROUBLESHOOTING: &str = "docs/troubleshooting.md";

#[test]
fn every_block_is_on_a_page_that_is_tested() {
    // All blocks of a page are tested: by tests/quota_programs.rs for quotas, by tests/postfix.rs for Cyrus SASL, by
    // tests/dovecot_hosts.rs for Postfix and Dovecot, by tests/postfix_maps.rs for Postfix's tables, by tests/exim.rs for Debian's split configuration of Exim and for the forms of its configuration other than the first
    // one, by tests/amavis.rs for amavisd-new, by tests/own_table.rs for the tables of other programs, and otherwise by tests
    // below.
    let run = [
        AMAVIS,
        OWN_TABLE,
        INSTALL,
        ACCOUNTS,
        DATABASES,
        COURIER,
        EXIM,
        EXIM_DEBIAN,
        POSTFIX,
        POSTFIX_MAPS,
        CYRUS_SASL,
        DOVECOT,
        CHECKPASSWORD,
        QUOTAS,
    ];
    for piece in pages().iter().filter(|piece| piece.language().is_some()) {
        assert!(run.contains(&piece.page.as_str()), "{piece:?}");
    }
}

#[test]
fn every_command_line_is_valid() {
    let mut lines = BTreeSet::new();
    for piece in pages() {
        lines.extend(piece.spans());
        if piece.kind != PieceKind::Prose {
            lines.extend(piece.text.lines().map(|line| match line.strip_prefix("cargo run --release --bin ") {
                Some(ours) => ours.replacen(" -- ", " ", 1),
                None => line.to_owned(),
            }));
        }
    }
    lines.retain(|line| line.starts_with("mailauth "));
    assert!(lines.contains("mailauth try") && lines.len() > 8, "{lines:?}");
    let programs = program("mailauth").parent().expect("a folder").display().to_string();
    for line in lines {
        // Options and values are read before this one, and refused if they are invalid.
        run(Command::new("sh")
            .args(["-ec", &format!("{line} --help")])
            .env("PATH", format!("{programs}:/usr/bin:/bin")));
    }
}

#[test]
fn every_named_key_and_file_exists() {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    let sample = text_of("mailauth.toml");
    for line in sample.lines() {
        // Sections that are optional are in comments, indented.
        match line.trim_start_matches(['#', ' ']).strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => {
                section = name.to_owned();
                keys.insert(format!("[{section}]"));
            }
            None => keys.extend(
                line.strip_prefix('#')
                    .and_then(|line| line.split_once(" = "))
                    .map(|(name, _)| [format!("[{section}] {}", name.trim()), name.trim().to_owned()])
                    .into_iter()
                    .flatten(),
            ),
        }
    }
    let pages = pages();
    let all_spans = || pages.iter().flat_map(|piece| piece.spans().into_iter().map(|span| (piece.page.as_str(), span)));
    // A span is a key if it begins with a section, or consists of words joined by underscores. The page about security
    // also has names of tests, which tests/security_page.rs looks for.
    let is_key = |(page, span): &(&str, String)| {
        let is_word = span.contains('_') && span.chars().all(|c| c == '_' || c.is_ascii_lowercase());
        span.starts_with('[') || is_word && *page != "docs/security.md"
    };
    let named: Vec<_> = all_spans().filter(is_key).collect();
    assert!(named.len() > 5, "{named:?}");
    let tables = text_of("schema/sqlite.sql");
    let is_column = |name: &str| tables.lines().any(|line| line.split_whitespace().next() == Some(name));
    let roles_and_metrics = [text_of("schema/grants.postgres.sql"), sources(&["mailauth-"])].concat();
    // Options of other programs are printed in a block of the page.
    let is_printed = |page: &str, key: &str| {
        let mut blocks = pages.iter().filter(|piece| piece.page == page && piece.kind != PieceKind::Prose);
        blocks.any(|block| block.text.contains(key))
    };
    for (page, key) in named {
        if !key.starts_with('[') && is_printed(page, &key) {
            continue;
        }
        if key.starts_with("mailauth_") || key.starts_with("process_") {
            assert!(roles_and_metrics.contains(&key), "{page}: there is no role and no metric {key}");
            continue;
        }
        // Some are shown with a value.
        let key = key.split(" = ").next().unwrap_or_default();
        assert!(keys.contains(key) || is_column(key), "{page}: neither mailauth.toml nor a table has {key}");
    }
    let is_file = |(_, span): &(&str, String)| {
        !span.contains([' ', '@']) && !span.starts_with(['/', '?']) && (span.contains('/') || span.ends_with(".toml"))
    };
    let named: Vec<_> = all_spans().filter(is_file).collect();
    assert!(named.len() > 2, "{named:?}");
    for (page, file) in named {
        assert!(is_in_repository(&file), "{page}: there is no {file}");
    }
}

/// Returns the Rust sources below the folders of the repository whose names have one of these prefixes. Lines that end
/// with `\` are joined with the next one.
fn sources(prefixes: &[&str]) -> String {
    fn add(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                add(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).expect("a source");
                let mut lines = source.split("\\\n");
                *text += lines.next().unwrap_or_default();
                lines.for_each(|line| *text += line.trim_start());
            }
        }
    }
    let mut text = String::new();
    for entry in fs::read_dir(page::repository()).expect("the repository") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        if entry.path().is_dir() && prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            add(&entry.path(), &mut text);
        }
    }
    text
}

/// Returns the first column of the tables of the page about troubleshooting, from the heading to the next one.
fn first_column(heading: &str) -> Vec<String> {
    let pieces = page(TROUBLESHOOTING).into_iter().filter(|piece| piece.heading == heading);
    let cells = pieces.flat_map(|piece| {
        let rows = piece.text.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.filter_map(|row| row.split_once("` |")).map(|(cell, _)| cell.replace("`<br>`", "\n")).collect::<Vec<_>>()
    });
    let cells: Vec<String> = cells.flat_map(|cell| cell.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(!cells.is_empty(), "{TROUBLESHOOTING} has no table under {heading:?}");
    cells
}

#[test]
fn every_reason_in_the_log_is_explained() {
    let explained = first_column("Reasons in the log");
    let all: BTreeSet<&str> = No::CODES.into_iter().chain(NotNow::CODES).collect();
    for code in &all {
        assert!(explained.iter().any(|reason| reason == code), "{TROUBLESHOOTING} does not explain {code}");
    }
    for reason in &explained {
        assert!(all.contains(reason.as_str()), "{TROUBLESHOOTING} explains {reason}, which does not exist");
    }
}

#[test]
fn every_explained_message_exists() {
    // Messages of other programs are those that the tests expect.
    let sources = sources(&["mailauth-", "tests"]);
    for heading in ["At the start", "Clients and sockets", "Databases", "Mailboxes and mail"] {
        for message in first_column(heading) {
            for part in message.split('…').map(str::trim).filter(|part| !part.is_empty()) {
                assert!(
                    sources.contains(part),
                    "{TROUBLESHOOTING}, {heading}: no program says {part:?} of {message:?}"
                );
            }
        }
    }
}

/// Returns the targets of the links of a page, as they are written.
fn links(name: &str) -> Vec<String> {
    let text = text_of(name);
    let after = text.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// Returns the anchor of a heading, as GitHub and mdBook form it.
fn anchor(heading: &str) -> String {
    let letters = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    letters.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn every_link_has_a_target() {
    let mut count = 0;
    let others = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned);
    for name in page::names().into_iter().chain(others) {
        let folder = Path::new(&name).parent().expect("a folder");
        for link in links(&name).iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { name.clone() } else { folder.join(file).display().to_string() };
            assert!(is_in_repository(&path), "{name} links to {link}");
            if !heading.is_empty() {
                let anchors: Vec<String> = text_of(&path)
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(|line| anchor(line.trim_start_matches(['#', ' '])))
                    .collect();
                assert!(
                    anchors.iter().any(|anchor| anchor == heading),
                    "{name} links to {link}; there are {anchors:?}"
                );
            }
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn the_book_has_every_page() {
    let listed = links("docs/SUMMARY.md");
    for name in page::names().iter().filter_map(|name| name.strip_prefix("docs/")) {
        assert!(listed.iter().any(|link| link == name), "docs/SUMMARY.md lacks {name}");
        assert!(links("README.md").contains(&format!("docs/{name}")), "README.md does not link to {name}");
    }
    for link in listed.iter().filter(|link| !link.is_empty()) {
        assert!(is_in_repository(&format!("docs/{link}")), "docs/SUMMARY.md lists {link}");
    }
}

#[test]
fn the_changelog_begins_with_this_version() {
    let changelog = text_of("CHANGELOG.md");
    let versions = changelog.lines().filter_map(|line| line.strip_prefix("## ["));
    let mut versions = versions.filter_map(|line| line.split_once(']')).map(|(version, _)| version);
    assert_eq!(versions.find(|version| *version != "Unreleased"), Some(env!("CARGO_PKG_VERSION")));
}
