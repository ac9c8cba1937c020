//! `mailauth config`: the configuration as it is in effect.

use crate::failure::{Exit, Failure};
use crate::nearby::nearest;
use crate::output::{json, printable, say};
use clap::{Args, Subcommand};
use mailauth_core::config::{Config, Effective, EffectiveKey, Origin, ValueOrigin};
use std::path::Path;

#[derive(Subcommand)]
pub enum Verb {
    Show(Show),
}

/// Print every key with its effective value, and where the value comes from
///
/// The output is a configuration file with the same meaning. Values that follow from others, such as [database] tls from the
/// place of the server, and keys without a value are in comments. Files with passwords are named, and not read. The daemon uses
/// a changed file after a reload.
///
/// If the file has mistakes, all of them are reported, and the keys that they concern are marked.
///
/// Exit codes: 0 printed, 2 the file has mistakes or cannot be read, or there is no such key.
#[derive(Args)]
pub struct Show {
    /// Key or section to print, such as database, database.tls or tls_ca; everything if there is none
    name: Option<String>,
    /// Print only what the file or the profile of [schema] sets
    #[arg(long)]
    changed: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verb {
    pub fn run(self, file: Option<&Path>) -> Result<Exit, Failure> {
        match self {
            Verb::Show(show) => show.run(file),
        }
    }
}

impl Show {
    fn run(self, file: Option<&Path>) -> Result<Exit, Failure> {
        let Effective { origin, mut keys, mistakes } = Config::effective(file)?;
        if let Some(name) = &self.name {
            keys = named(keys, name)?;
        }
        if self.changed {
            keys.retain(|key| !matches!(key.from, ValueOrigin::Default | ValueOrigin::Derived));
        }
        if self.json {
            json(&keys.iter().map(Row::of).collect::<Vec<_>>())?;
        } else {
            say(document(&origin, &keys).trim_end())?;
        }
        match mistakes {
            Some(mistakes) => Err(mistakes.into()),
            None => Ok(Exit::Yes),
        }
    }
}

/// Returns the keys of a section, or one key, which may be named without its section if only one has this name.
fn named(keys: Vec<EffectiveKey>, name: &str) -> Result<Vec<EffectiveKey>, Failure> {
    // As in messages: [database] url, and as in TOML: database.url.
    let bare = name.trim().replace("] ", ".").replace(['[', ']'], "");
    let whole = |key: &EffectiveKey| format!("{}.{}", key.section, key.name);
    let of_section = |key: &EffectiveKey| key.section == bare || key.section.starts_with(&format!("{bare}."));
    let tests: [&dyn Fn(&EffectiveKey) -> bool; 3] = [&of_section, &|key| whole(key) == bare, &|key| key.name == bare];
    for is_meant in tests {
        let found: Vec<&EffectiveKey> = keys.iter().filter(|key| is_meant(key)).collect();
        if !found.is_empty() {
            return Ok(found.into_iter().cloned().collect());
        }
    }
    let all: Vec<String> = keys.iter().flat_map(|key| [whole(key), key.section.clone(), key.name.clone()]).collect();
    let near = nearest(&bare, all.iter().map(String::as_str));
    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Err(Failure::usage(format!("there is no key and no section {}{near}", printable(name))))
}

/// Returns the lines of a configuration file.
fn document(origin: &Origin, keys: &[EffectiveKey]) -> String {
    let mut text = format!("# The configuration in effect: {}\n", printable(&origin.to_string()));
    let sections = keys.chunk_by(|a, b| a.section == b.section);
    for section in sections {
        let Some(first) = section.first() else { continue };
        let lines: Vec<(String, String)> = section.iter().map(|key| (assignment(key), remark(key))).collect();
        let width = lines.iter().map(|(left, _)| left.chars().count()).filter(|width| *width <= WIDEST).max();
        text += &format!("\n[{}]\n", first.section);
        for (left, right) in lines {
            text += &format!("{left:<width$}  # {right}\n", width = width.unwrap_or(0));
        }
    }
    text
}

/// Maximum width of the lines that others are aligned with.
const WIDEST: usize = 60;

/// Returns the key and its value, in a comment unless the value would mean the same in a file.
fn assignment(key: &EffectiveKey) -> String {
    let EffectiveKey { name, value, from, .. } = key;
    match (value, from) {
        (None, _) => format!("#{name} ="),
        (Some(value), ValueOrigin::Derived) => format!("#{name} = {value}"),
        (Some(value), _) => format!("{name} = {value}"),
    }
}

fn remark(key: &EffectiveKey) -> String {
    let from = match &key.from {
        ValueOrigin::Default if key.value.is_none() => "not set".to_owned(),
        ValueOrigin::Default => "default".to_owned(),
        ValueOrigin::Derived => String::new(),
        ValueOrigin::File(position) => format!("line {}", position.line),
        ValueOrigin::Profile(profile) => format!("profile {profile}"),
        ValueOrigin::Mistake(position) => format!("line {} has a mistake", position.line),
    };
    let parts = [Some(from), key.note.clone()].into_iter().flatten().filter(|part| !part.is_empty());
    printable(&parts.collect::<Vec<_>>().join("; ")).into_owned()
}

#[derive(serde::Serialize)]
struct Row<'k> {
    section: &'k str,
    key: &'k str,
    value: Option<serde_json::Value>,
    from: &'static str,
    profile: Option<&'k str>,
    line: Option<usize>,
    column: Option<usize>,
    note: Option<&'k str>,
}

impl<'k> Row<'k> {
    fn of(key: &'k EffectiveKey) -> Self {
        let (from, profile, position) = match &key.from {
            ValueOrigin::Default => ("default", None, None),
            ValueOrigin::Derived => ("derived", None, None),
            ValueOrigin::File(position) => ("file", None, Some(position)),
            ValueOrigin::Profile(profile) => ("profile", Some(profile.as_str()), None),
            ValueOrigin::Mistake(position) => ("mistake", None, Some(position)),
        };
        Row {
            section: &key.section,
            key: &key.name,
            value: key.value.as_ref().and_then(|value| serde_json::to_value(value).ok()),
            from,
            profile,
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            note: key.note.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ALL: &str = r#"
        [database]
        url = "mysql://mail@localhost:3307,db2.example.org/mail"
        password_file = "secret"
        deadline = "1500ms"
        [schema]
        profile = "postfixadmin"
        mail_root = "/srv/mail"
        [schema.accounts]
        where = "username <> 'a\"b'"
        [admin]
        url = "mysql://admin@localhost:3307,db2.example.org/mail"
        [cache]
        memory = "100M"
        [mailbox]
        uid = 5000
        quota = "1G,10000"
        [password]
        max_argon2_memory = "300M"
        memory = 400000001
        [throttle]
        exempt = ["192.0.2.0/24", "2001:db8::/32"]
        [quota]
        warn = [80, 95]
        [courier]
        socket = "/run/x"
        socket_mode = "0606"
        allow_users = ["exim", 107]
        [metrics]
        listen = "unix:/run/m"
        [pop3]
        cram_order = "challenge-digest"
    "#;

    /// Returns what is shown of a file with this text, and the file.
    fn shown(text: &str) -> (tempfile::TempDir, Effective, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.toml");
        fs::write(&file, text).unwrap();
        let effective = Config::effective(Some(&file)).unwrap();
        let text = document(&effective.origin, &effective.keys);
        (folder, effective, text)
    }

    fn line<'t>(text: &'t str, start: &str) -> &'t str {
        text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in {text}"))
    }

    #[test]
    fn the_output_is_a_configuration_with_the_same_meaning() {
        for text in ["", ALL, "[courier]\nown_socket = ''\n", "[database]\nurl = 'sqlite:mail.db'\n"] {
            let (folder, effective, shown) = shown(text);
            assert!(effective.mistakes.is_none(), "{:?}", effective.mistakes);
            let file = folder.path().join("m.toml");
            let again = folder.path().join("again.toml");
            fs::write(&again, &shown).unwrap();
            let load = |file: &Path| format!("{:#?}", Config::load_without_password(Some(file)).unwrap().0);
            assert_eq!(load(&file), load(&again), "{shown}");
        }
    }

    #[test]
    fn each_value_says_where_it_comes_from() {
        let (_folder, _, text) = shown(ALL);
        for (start, end) in [
            ("deadline = \"1500ms\" ", "# line 5"),
            ("pool = 8 ", "# default"),
            ("#tls =", "# disable for localhost:3307, verify-full for db2.example.org:3306"),
            ("#tls_ca =", "# not set"),
            ("mail_root = \"/srv/mail\"", "# line 8"),
            ("memory = \"100M\"", "# line 14"),
            ("#min_uid =", "# only uid 5000 is permitted"),
            ("uid = 5000", "# line 16; 5000"),
            ("#own_socket = \"\"", "# none, because socket is set"),
            ("max_connections_per_user = 0", "# default; half of max_connections: 2000"),
            ("socket_mode = \"0606\"", "# line 27"),
        ] {
            assert!(line(&text, start).ends_with(end), "{} instead of {end}", line(&text, start));
        }
        assert!(text.contains("# profile postfixadmin\n"), "{text}");
        let (_folder, _, text) = shown("");
        assert!(line(&text, "#memory = \"64M\"").contains("for each of accounts"));
        assert!(line(&text, "#root = \"/var/mail\"").contains("where home and maildir begin"));
        assert!(line(&text, "#socket = \"/run/mailauth/socket\"").ends_with("/run/courier/authdaemon/socket"));
    }

    #[test]
    fn mistakes_are_marked_and_no_secret_is_repeated() {
        let (_folder, effective, text) =
            shown("[database]\nurl = 'mysql://u:hunter2@h/d'\npool = 9\n[courier]\nidle = yes\nsocket_mode = 3\n");
        let mistakes = effective.mistakes.unwrap();
        assert_eq!(mistakes.mistakes.len(), 3, "{mistakes}");
        assert!(!text.contains("hunter2") && !mistakes.to_string().contains("hunter2"));
        assert_eq!(
            line(&text, "#url =").split_whitespace().collect::<Vec<_>>().join(" "),
            "#url = # line 2 has a mistake"
        );
        assert!(line(&text, "pool = 9").ends_with("# line 3"));
        assert!(line(&text, "#socket_mode =").ends_with("# line 6 has a mistake"));
    }

    #[test]
    fn a_key_is_named_as_in_messages_or_in_toml_or_alone() {
        let keys = || shown("").1.keys;
        let count = |name: &str| named(keys(), name).map(|keys| keys.len());
        assert_eq!(count("[database] tls").unwrap(), 1);
        assert_eq!((count("database.tls").unwrap(), count("tls").unwrap(), count("warn").unwrap()), (1, 2, 1));
        assert_eq!((count("[log]").unwrap(), count("log").unwrap()), (2, 2));
        assert!(count("databse").unwrap_err().message.ends_with("did you mean database?"));
    }
}
