//! Tests of conversions, from the bytes of a file to a configuration that is parsed.

use super::translate::{Translated, translate};
use mailauth_core::config::Config;
use mailauth_core::schema::{Field, ForeignModel};
use proptest::prelude::*;
use std::path::Path;

mod courier;
mod dovecot;
mod recognition;
mod refusals;

const MARKER: &str = "##NAME: MARKER:0\n";

/// Translates a file, which must not be refused.
fn converted(name: &str, text: &str) -> (Translated, Config) {
    let translated = translate(name, text.as_bytes(), "database.password");
    assert!(translated.findings.refusals.is_empty(), "{:#?}", translated.findings.refusals);
    let config = Config::parse(&translated.text, Path::new("mailauth.toml"))
        .unwrap_or_else(|errors| panic!("{errors}\n{}", translated.text));
    (translated, config)
}

/// Returns the model of a converted file.
fn model(config: &Config) -> &ForeignModel {
    config.database.tables.foreign().expect("the tables of another program")
}

/// Returns the expression of a field; an empty text if there is none.
fn field(config: &Config, field: Field) -> &str {
    model(config).accounts.field(field).unwrap_or("")
}

/// Returns all refusals of a file, one in each line.
fn refusals(name: &str, text: &str) -> String {
    let translated = translate(name, text.as_bytes(), "database.password");
    assert!(translated.text.is_empty(), "a configuration in spite of {:#?}", translated.findings.refusals);
    let lines: Vec<_> = translated.findings.refusals.iter().map(|refusal| refusal.in_file(name)).collect();
    lines.join("\n")
}

fn warnings(translated: &Translated) -> String {
    let lines: Vec<_> = translated.findings.warnings.iter().map(|warning| warning.in_file("f")).collect();
    lines.join("\n")
}

fn notes(translated: &Translated) -> String {
    let lines: Vec<_> = translated.findings.notes.iter().map(|note| note.in_file("f")).collect();
    lines.join("\n")
}

/// Fails if a translation lacks both a configuration and a reason, or if its configuration cannot be parsed.
fn is_sound(name: &str, bytes: &[u8]) {
    let translated = translate(name, bytes, "database.password");
    let refused = !translated.findings.refusals.is_empty();
    assert_eq!(translated.text.is_empty(), refused, "{:?}", translated.findings);
    assert!(!translated.text.contains(super::variables::is_variable), "{}", translated.text);
    if let Err(errors) = Config::parse(&translated.text, Path::new("mailauth.toml")) {
        let of_system = |mistake: &mailauth_core::config::Mistake| {
            matches!(mistake.key.as_deref(), Some("[mailbox] uid" | "[mailbox] gid"))
        };
        assert!(errors.mistakes.iter().all(of_system), "{errors}\n{}", translated.text);
    }
    if translated.has_password() {
        let password = String::from_utf8_lossy(translated.password.expose()).into_owned();
        let unusual = password.len() > 8 && !password.contains(' ');
        assert!(!unusual || !translated.text.contains(&password), "{}", translated.text);
    }
}

/// Pieces of the files, so that random text gets past the first checks.
const PIECES: &str = "(MYSQL_USER_TABLE |MYSQL_SELECT_CLAUSE |MYSQL_WHERE_CLAUSE |MYSQL_SERVER localhost\n|\
    MYSQL_USERNAME u\n|MYSQL_DATABASE d\n|MYSQL_CRYPT_PWFIELD crypt\n|##NAME: MARKER:\n|MYSQL_HOME_FIELD |\
    driver = mysql\n|driver = pgsql\n|connect = host=h user=u dbname=d\n|password_query = |user_query = |\
    SELECT |user, |password |FROM t |WHERE |u = '%u' |u='%n' AND d='%d' | AND | OR |NOT |'%s' = 'imap' |\
    '\\$\\(local_part\\)' |'\\$\\(service\\)' |CONCAT\\(|CASE WHEN a THEN b END |\\(|\\)|'|\"|`|,|\\|\\||%|\\$|\\{|\\}|\
    passdb sql \\{\n|userdb sql \\{\n|query = |sql_driver = mysql\n|mysql h \\{\n| AS mail|'maildir:~/x' AS mail |\
    '\\*:bytes=' |a\\.b |\n|\\\\\n|\\\\|#|;|\\?|--|%\\{user \\| domain\\}|%w|h\\|0\\|u\\|p\\|d\n|[a-zé0-9=<> ]{0,6})";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_refused_or_become_a_configuration(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        is_sound("authmysqlrc", &bytes);
    }

    #[test]
    fn any_pieces_of_files_are_refused_or_become_a_configuration(
        pieces in proptest::collection::vec(PIECES, 0..40),
        name in "(authmysqlrc|dovecot-sql.conf.ext|vpopmail.pgsql)",
    ) {
        is_sound(&name, pieces.concat().as_bytes());
    }

    #[test]
    fn any_query_is_refused_or_becomes_a_configuration(condition in PIECES, columns in PIECES, more in PIECES) {
        let query = format!(
            "driver = pgsql\nconnect = host=/run user=u dbname=d\npassword_query = SELECT a AS user, password, {columns} \
             AS userdb_home FROM t WHERE a = '%u' AND {condition} {more}\n"
        );
        is_sound("dovecot-sql.conf.ext", query.as_bytes());
    }
}
