//! Courier's files, and vpopmail's.

use super::{MARKER, converted, field, model, notes, warnings};
use crate::convert::dialect::Dialect;
use crate::convert::findings::Findings;
use crate::convert::vpopmail;
use mailauth_core::schema::Field;

/// The keys of a connection.
const CONNECTION: &str = "MYSQL_SERVER db.example.com\nMYSQL_PORT 3307\nMYSQL_OPT 0\nMYSQL_USERNAME reader\n\
    MYSQL_PASSWORD  a # sign, 'quotes' and a \\ in it  \nMYSQL_DATABASE hosting\n";

#[test]
fn columns_of_a_table_become_terms_of_accounts() {
    let text = format!(
        "{CONNECTION}MYSQL_USER_TABLE people\nMYSQL_LOGIN_FIELD mail\nMYSQL_CRYPT_PWFIELD hash\nMYSQL_CLEAR_PWFIELD plain\n\
         MYSQL_UID_FIELD 2001\nMYSQL_GID_FIELD groupid\nMYSQL_HOME_FIELD folder\nMYSQL_MAILDIR_FIELD box\n\
         MYSQL_QUOTA_FIELD CONCAT(megabytes, '000000S')\nMYSQL_WHERE_CLAUSE locked = 0 OR vip = 1\n\
         DEFAULT_DOMAIN example.com\n{MARKER}"
    );
    let (translated, config) = converted("authmysqlrc", &text);
    let accounts = &model(&config).accounts;
    assert_eq!(config.database.url.to_string(), "mysql://reader@db.example.com:3307/hosting");
    assert_eq!(translated.password.expose(), b"a # sign, 'quotes' and a \\ in it");
    assert_eq!(accounts.from, "people");
    assert_eq!(accounts.filter.as_deref(), Some("(locked = 0 OR vip = 1)"));
    assert_eq!((accounts.find.sql.as_str(), accounts.key.as_slice()), ("mail = ?", ["mail".to_owned()].as_slice()));
    assert_eq!(field(&config, Field::Login), "LOWER(mail)");
    assert_eq!(field(&config, Field::Password), "COALESCE(NULLIF(hash, ''), CONCAT('{PLAIN}', NULLIF(plain, '')))");
    assert_eq!((config.mailbox.uid, field(&config, Field::Gid)), (Some(2001), "groupid"));
    assert_eq!(accounts.quota.as_ref().map(|quota| quota.sql.as_str()), Some("CONCAT(megabytes, '000000S')"));
    assert_eq!(config.login.default_domain.as_deref(), Some("example.com"));
    assert!(!translated.text.contains("quotes' and"), "the password is printed:\n{}", translated.text);
}

#[test]
fn an_account_without_a_home_stays_unusable() {
    let text = format!("{CONNECTION}MYSQL_USER_TABLE people\nMYSQL_CRYPT_PWFIELD hash\n{MARKER}");
    let (_, config) = converted("authmysqlrc", &text);
    assert_eq!((field(&config, Field::Home), config.mailbox.home.as_str()), ("home", ""));
}

#[test]
fn the_first_of_two_equal_keys_counts() {
    let text =
        format!("{CONNECTION}MYSQL_USER_TABLE people\nMYSQL_CRYPT_PWFIELD right\nMYSQL_CRYPT_PWFIELD wrong\n{MARKER}");
    let (translated, config) = converted("authmysqlrc", &text);
    assert_eq!(field(&config, Field::Password), "right");
    assert!(warnings(&translated).contains("f:9: MYSQL_CRYPT_PWFIELD: is set twice"), "{}", warnings(&translated));
}

#[test]
fn a_continued_value_is_joined_by_a_blank() {
    let text = format!(
        "{CONNECTION}MYSQL_USER_TABLE people\nMYSQL_CRYPT_PWFIELD hash\nMYSQL_WHERE_CLAUSE active = 1 AND\\\n   # = 1\\\n\
         AND vip = 1\n{MARKER}"
    );
    // A # in a continued line is no comment to Courier, and one to MySQL.
    let refusals = super::refusals("authmysqlrc", &text);
    assert!(refusals.contains("authmysqlrc:9: MYSQL_WHERE_CLAUSE: contains a comment"), "{refusals}");
    let text = text.replace("# = 1", "b = 1");
    let (_, config) = converted("authmysqlrc", &text);
    assert_eq!(model(&config).accounts.filter.as_deref(), Some("active = 1 AND b = 1 AND vip = 1"));
}

#[test]
fn a_select_clause_is_taken_apart_by_places() {
    let text = format!(
        "{CONNECTION}MYSQL_USER_TABLE unused\nMYSQL_SELECT_CLAUSE SELECT CONCAT(a.name, '@', z.name), NULL, a.secret, 8, 8, \\\n\
         CONCAT('/srv/', z.name), '', CONCAT(a.quota, 'S'), a.person, '' \\\n\
         FROM account a JOIN zone z ON z.id = a.zone \\\n\
         WHERE z.name = '$(domain)' AND '$(local_part)' = a.name AND a.hour BETWEEN 1 AND 9 \\\n\
         AND ('$(service)' IN ('imap', 'pop3') OR a.sends = 1)\n{MARKER}"
    );
    let (_, config) = converted("authmysqlrc", &text);
    let accounts = &model(&config).accounts;
    assert_eq!(accounts.from, "account a JOIN zone z ON z.id = a.zone");
    assert_eq!(accounts.find.sql, "z.name = ? AND ? = a.name");
    assert_eq!(accounts.filter.as_deref(), Some("a.hour BETWEEN 1 AND 9"));
    assert_eq!(field(&config, Field::Password), "CONCAT('{PLAIN}', NULLIF(a.secret, ''))");
    assert_eq!(
        field(&config, Field::Services),
        "CASE WHEN a.sends = 1 THEN NULL ELSE COALESCE(NULLIF(CONCAT_WS(',', 'imap', 'pop3', CASE WHEN a.sends = 1 THEN \
         'smtp' END, CASE WHEN a.sends = 1 THEN 'webmail' END), ''), 'none') END"
    );
    assert_eq!(field(&config, Field::Receives), "CASE WHEN a.sends = 1 THEN 1 ELSE 0 END");
}

#[test]
fn a_condition_on_the_login_becomes_one_on_the_row() {
    let text = format!(
        "{CONNECTION}MYSQL_SELECT_CLAUSE SELECT mail, hash, '', 8, 8, '/srv', '' FROM people \
         WHERE mail = '$(local_part)@$(domain)' AND '$(domain)' <> 'closed.example'\n{MARKER}"
    );
    let (_, config) = converted("authmysqlrc", &text);
    assert_eq!(
        model(&config).accounts.filter.as_deref(),
        Some("LOWER(SUBSTRING_INDEX(mail, '@', -1)) <> 'closed.example'")
    );
}

#[test]
fn the_parts_of_a_libpq_string_become_a_url() {
    let text = format!(
        "PGSQL_CONNECTION host=one,two port=5433 user=mail\\ user password='it''\\'s \\\\' dbname=m sslmode=require\n\
         PGSQL_USER_TABLE people\nPGSQL_CRYPT_PWFIELD hash\n{MARKER}"
    )
    .replace("''\\'", "\\'");
    let (translated, config) = converted("authpgsqlrc", &text);
    assert_eq!(config.database.url.to_string(), "postgres://mail%20user@one:5433,two:5433/m");
    assert_eq!(config.database.tls, Some(mailauth_core::config::TlsMode::Require));
    assert_eq!(translated.password.expose(), b"it's \\");
}

#[test]
fn unknown_options_are_named_and_forbid_nothing() {
    let text = format!(
        "{CONNECTION}MYSQL_USER_TABLE people\nMYSQL_CRYPT_PWFIELD hash\n\
         MYSQL_AUXOPTIONS_FIELD CONCAT('allowimap=', imap, ',disablepop3=', nopop)\n{MARKER}"
    );
    let (translated, config) = converted("authmysqlrc", &text);
    assert!(model(&config).accounts.options_disable_services);
    let warnings = warnings(&translated);
    assert!(warnings.contains("the options allowimap are none") && !warnings.contains("disablepop3"), "{warnings}");
}

#[test]
fn the_tables_of_postfixadmin_get_its_domains_and_aliases() {
    let text = format!(
        "{CONNECTION}MYSQL_USER_TABLE pa_mailbox\nMYSQL_LOGIN_FIELD username\nMYSQL_CRYPT_PWFIELD password\n\
         MYSQL_UID_FIELD 150\nMYSQL_GID_FIELD 8\nMYSQL_HOME_FIELD '/srv/vmail'\nMYSQL_MAILDIR_FIELD maildir\n{MARKER}"
    );
    let (translated, config) = converted("authmysqlrc", &text);
    let model = model(&config);
    assert_eq!((model.profile.as_str(), model.accounts.from.as_str()), ("postfixadmin", "pa_mailbox"));
    assert!(model.domains.as_ref().expect("domains").find.sql.contains("FROM pa_domain d"), "{model:?}");
    assert_eq!(model.accounts.key, ["pa_mailbox.username"]);
    assert_eq!((field(&config, Field::Enabled), field(&config, Field::Services)), ("", ""));
    assert!(notes(&translated).contains("stricter: it also keeps to the switch of a domain"), "{}", notes(&translated));
    assert!(translated.text.contains("The profile's own: d.active"), "{}", translated.text);
}

#[test]
fn vpopmail_files_hold_a_connection_alone() {
    let text = "# read\nlocalhost|/run/mysqld.sock|vp|pass word|vpopmail\nother|3306|w|x|vpopmail\n";
    let mut findings = Findings::default();
    let conversion = vpopmail::convert(text, Dialect::Mysql, &mut findings);
    let connection = &conversion.connection;
    assert_eq!(connection.password.expose(), b"pass word");
    assert_eq!((connection.user.as_str(), connection.socket.as_deref()), ("vp", Some("/run/mysqld.sock")));
    assert!(findings.warnings.iter().any(|warning| warning.text.contains("one table for all domains")));
    assert!(findings.notes.iter().any(|note| note.line == 3 && note.text.contains("a connection for writing")));
}

#[test]
fn a_product_is_a_quota_in_bytes() {
    let text = format!(
        "{CONNECTION}MYSQL_USER_TABLE people\nMYSQL_CRYPT_PWFIELD hash\nMYSQL_QUOTA_FIELD (mib * 1048576)\n{MARKER}"
    );
    let (translated, config) = converted("authmysqlrc", &text);
    assert_eq!(field(&config, Field::QuotaBytes), "GREATEST((mib * 1048576), 0)");
    assert!(notes(&translated).contains("a number without S"), "{}", notes(&translated));
}
