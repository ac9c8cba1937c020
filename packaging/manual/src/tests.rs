//! The pages and completions as their readers' programs see them.

use crate::document::{Block, Document, plain};
use mailauth_core::config::Config;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Maximum number of characters of a line that is shown as it is: a terminal of 80 columns without the margins.
const MAX_LINE: usize = 71;

fn written() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    crate::write(folder.path()).expect("the manual");
    folder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn page(reference: &str) -> Document {
    let found = crate::pages().into_iter().find(|page| page.reference() == reference);
    found.unwrap_or_else(|| panic!("there is no page {reference}"))
}

/// Returns all blocks of a page, also those within others.
fn blocks(page: &Document) -> Vec<Block> {
    fn deep(blocks: &[Block]) -> Vec<Block> {
        let inner = |block: &Block| match block {
            Block::Entry(_, body) | Block::Item(body) => deep(body),
            _ => Vec::new(),
        };
        blocks.iter().flat_map(|block| std::iter::once(block.clone()).chain(inner(block))).collect()
    }
    page.sections().iter().flat_map(|section| deep(&section.blocks)).collect()
}

/// Returns the text of all terms and paragraphs of a page, each on a line.
fn text(page: &Document) -> String {
    let text = |block: Block| match block {
        Block::Paragraph(spans) => plain(&spans),
        Block::Entry(terms, _) => terms.iter().map(|term| plain(term)).collect::<Vec<_>>().join("\n"),
        Block::Heading(text) | Block::Example(text) => text,
        Block::Synopsis(command, spans) => format!("{command} {}", plain(&spans)),
        Block::Item(_) => String::new(),
    };
    blocks(page).into_iter().flat_map(|block| [text(block), "\n".to_owned()]).collect()
}

#[test]
fn man_shows_each_page_without_a_warning() {
    let folder = written();
    for file in files(&folder.path().join("man")) {
        // In its folder, because the links to pages are relative to it.
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(&file);
        let output = run(man.env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8").current_dir(folder.path().join("man")));
        assert!(output.status.success() && output.stderr.is_empty(), "{}: {}", file.display(), said(&output));
        assert!(output.stdout.len() > 1000, "{} shows nothing", file.display());
    }
    let mut lint = Command::new("mandoc");
    lint.args(["-Tlint", "-Wwarning"]).args(files(&folder.path().join("man")).iter().filter(|file| !is_link(file)));
    let output = run(&mut lint);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", said(&output));
}

fn is_link(file: &Path) -> bool {
    fs::read_to_string(file).expect("a page").starts_with(".so ")
}

#[test]
fn the_name_of_each_page_is_found_by_whatis() {
    let folder = written();
    let man = folder.path().join("man");
    let made = run(Command::new("mandb").args(["--create", "--quiet", "--user-db"]).arg(&man));
    assert!(made.status.success(), "{}", said(&made));
    for page in crate::pages() {
        for name in std::iter::once(&page.name).chain(&page.other_names) {
            let part = page.part.to_string();
            let output = run(Command::new("whatis").arg("-M").arg(&man).args(["--long", "-s", &part, name]));
            let found = said(&output);
            assert!(output.status.success() && found.contains(&page.about), "{name}: {found}");
        }
    }
}

#[test]
fn every_command_and_option_is_described() {
    let mut command = mailauth_admin::command().disable_help_subcommand(true);
    command.build();
    let mut open = vec![command];
    while let Some(command) = open.pop() {
        let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
        let text = text(&page(&format!("{name}(1)")));
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            let option = arg.get_long().map(|long| format!("--{long}"));
            let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
            let option = option.or(value).unwrap_or_else(|| arg.get_id().as_str().to_uppercase());
            assert!(text.lines().any(|line| line.contains(&option)), "{name} lacks {option}");
        }
        for sub in command.get_subcommands() {
            assert!(text.contains(&format!("{name}-{}(1)", sub.get_name())), "{name} lacks {}", sub.get_name());
            open.push(sub.clone());
        }
    }
}

/// Returns the commands in an example: what follows the name of the program, up to a pipe or a redirection.
fn commands(example: &str) -> Vec<Vec<String>> {
    let text = example.replace("\\\n", " ");
    let lines = text.lines().flat_map(|line| line.split(" | ")).map(str::trim);
    lines.filter(|line| line.starts_with("mailauth ")).map(words).collect()
}

/// Splits a command line at its spaces outside quotes, up to a redirection or a remark in brackets.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            // Also that of another descriptor, as in 3<.
            '<' | '>' if !quoted => {
                words.pop();
                break;
            }
            '(' if !quoted && words.last().is_some_and(String::is_empty) => break,
            letter => words.last_mut().expect("a word").push(letter),
        }
    }
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

#[test]
fn the_examples_are_commands_that_are_accepted() {
    let mut examples: Vec<Vec<String>> = Vec::new();
    for block in crate::pages().iter().flat_map(blocks) {
        let Block::Example(example) = block else { continue };
        examples.extend(commands(&example));
    }
    assert!(examples.len() > 50, "only {} examples were found", examples.len());
    let refused = examples.into_iter().filter_map(|command| {
        let error = mailauth_admin::command().try_get_matches_from(&command).err()?;
        Some(format!("{}: {error}", command.join(" ")))
    });
    let refused: Vec<String> = refused.collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn every_command_has_an_example_and_fits_the_terminal() {
    for page in crate::pages() {
        let has = |heading| page.sections().iter().any(|section| section.heading == heading);
        assert!(
            has("EXAMPLES") || has("COMMANDS") || page.name == "mailauth-exim-database",
            "{} has no example",
            page.name
        );
        for block in blocks(&page) {
            let Block::Example(example) = block else { continue };
            for line in example.lines() {
                assert!(line.chars().count() <= MAX_LINE, "{}: this line is too long: {line}", page.name);
            }
        }
    }
}

#[test]
fn every_reference_has_its_page() {
    let pages = crate::pages();
    let references: Vec<String> = pages.iter().map(Document::reference).collect();
    for page in &pages {
        for word in text(page).split(|letter: char| letter.is_whitespace() || ",;[]".contains(letter)) {
            let is_own = word.starts_with("mailauth") && word.trim_end_matches('.').ends_with(')');
            assert!(
                !is_own || references.iter().any(|page| page == word.trim_end_matches('.')),
                "{}: {word}",
                page.name
            );
        }
    }
}

#[test]
fn every_key_is_described() {
    let text = text(&page("mailauth.toml(5)"));
    let sample = include_str!("../../../mailauth.toml");
    let keys: Vec<&str> = sample
        .lines()
        .filter_map(|line| line.strip_prefix("#     ").or(line.strip_prefix('#')))
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, _)| key)
        .filter(|key| key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'))
        .collect();
    assert!(keys.len() > 100, "only {} keys were found", keys.len());
    for key in keys {
        let is_term = |line: &str| line.starts_with(&format!("{key} (")) || line.starts_with(&format!("{key} = "));
        assert!(text.lines().any(is_term), "there is no {key}");
    }
}

#[test]
fn the_examples_of_the_configuration_are_valid() {
    let page = page("mailauth.toml(5)");
    let examples = page.sections().iter().find(|section| section.heading == "EXAMPLES").expect("examples");
    let mut count = 0;
    for block in &examples.blocks {
        let Block::Example(text) = block else { continue };
        count += 1;
        Config::parse(text, Path::new("mailauth.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    }
    assert!(count >= 2);
}

#[test]
fn the_files_are_those_of_the_configuration() {
    let known = [include_str!("../../../mailauth.toml"), "./mailauth.db"].concat();
    for page in crate::pages() {
        let files = page.sections().iter().filter(|section| section.heading == "FILES");
        for block in files.flat_map(|section| &section.blocks) {
            let Block::Entry(terms, _) = block else { continue };
            for file in terms.iter().map(|term| plain(term)) {
                assert!(known.contains(&file), "{}: {file} is not in the sample of the configuration", page.name);
            }
        }
    }
}

#[test]
fn the_programs_exit_with_the_codes_that_their_pages_list() {
    let programs = [
        ("mailauth", 1, 2),
        ("mailauth-courier", 8, 2),
        ("mailauth-mailboxes", 8, 2),
        ("mailauth-exim", 8, 75),
        ("mailauth-exim-database", 8, 75),
        ("mailauth-pop3", 8, 2),
    ];
    for (name, part, code) in programs {
        let program = mailauth_tests::program(name);
        let refused = run(Command::new(&program).arg("--no-such-option").env_clear());
        assert_eq!(refused.status.code(), Some(code), "{name}: {}", said(&refused));
        let page = page(&format!("{name}({part})"));
        let codes = page.sections().iter().find(|section| section.heading == "EXIT STATUS").expect("exit codes");
        let lists = |block: &Block| matches!(block, Block::Entry(terms, _) if plain(&terms[0]) == code.to_string());
        assert!(codes.blocks.iter().any(lists), "{name}(8) does not list {code}");
        let helped = run(Command::new(&program).arg("--help"));
        assert!(helped.status.success() && said(&helped).contains("Usage:"), "{name}: {}", said(&helped));
        let version = run(Command::new(&program).arg("--version"));
        assert_eq!(said(&version).trim(), format!("{name} {}", env!("CARGO_PKG_VERSION")));
    }
}

/// Returns what bash proposes for the last of these words.
fn proposals(words: &[&str]) -> Vec<String> {
    let folder = written();
    let script = format!(
        "source '{}'; COMP_WORDS=({}); COMP_CWORD={}; _mailauth mailauth {:?} {:?}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        folder.path().join("completions/bash/mailauth").display(),
        words.iter().map(|word| format!("'{word}' ")).collect::<String>(),
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2],
    );
    let output = run(Command::new("bash").args(["--norc", "-c", &script]).current_dir(folder.path()));
    assert!(output.stderr.is_empty(), "{}", said(&output));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    assert_eq!(proposals(&["mailauth", "acc"]), ["account"]);
    assert!(proposals(&["mailauth", "quota", ""]).contains(&"recount".to_owned()));
    assert_eq!(proposals(&["mailauth", "account", "add", "--qu"]), ["--quota"]);
    assert_eq!(proposals(&["mailauth", "domain", "alias", "ad"]), ["add"]);
    assert_eq!(proposals(&["mailauth", "auth", "a@b", "--service", "sm"]), ["smtp"]);
    assert_eq!(proposals(&["mailauth", "hash", "--scheme", "a"]), ["argon2id"]);
    assert!(proposals(&["mailauth", "--config", "comp"]).contains(&"completions".to_owned()));
}

#[test]
fn zsh_and_fish_accept_their_completions() {
    let folder = written();
    let completions = folder.path().join("completions");
    let output = run(Command::new("zsh").arg("-n").arg(completions.join("zsh/_mailauth")));
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
    let text = fs::read_to_string(completions.join("zsh/_mailauth")).expect("a file");
    assert!(text.starts_with("#compdef mailauth") && text.contains("argon2id"));
    let script = format!(
        "autoload -Uz compinit && compinit -D -u && source {} && print -r -- $_comps[mailauth]",
        completions.join("zsh/_mailauth").display()
    );
    let output = run(Command::new("zsh").args(["-fc", &script]).env("HOME", folder.path()));
    assert_eq!(said(&output).trim(), "_mailauth");
    // Part of fish, but not of the package that tests/run unpacks.
    let seen = "function __fish_seen_subcommand_from; for word in (commandline -opc); contains -- $word $argv; and return; \
                end; return 1; end";
    let script = format!(
        "{seen}; source {}; complete -C 'mailauth hash --scheme a'",
        completions.join("fish/mailauth.fish").display()
    );
    let output = run(fish().args(["--no-config", "-c", &script]));
    assert_eq!(said(&output).trim(), "argon2id");
}

/// Returns the shell fish: that of the system, or the one that tests/run unpacks.
fn fish() -> Command {
    let unpacked = Path::new("/var/cache/mailauth-tests/fish/usr");
    if !unpacked.exists() {
        return Command::new("fish");
    }
    let mut fish = Command::new(unpacked.join("bin/fish"));
    fish.env("LD_LIBRARY_PATH", unpacked.join("lib/x86_64-linux-gnu"));
    fish
}
