//! Dovecot's files.

use super::{converted, field, model, notes, warnings};
use mailauth_core::schema::Field;

fn file(driver: &str, queries: &str) -> String {
    format!("driver = {driver}\nconnect = host=/run/db user=mail dbname=mail password=x#y\n{queries}\n")
}

#[test]
fn two_queries_become_one_account() {
    let text = file(
        "mysql",
        "password_query = SELECT p.mail AS user, p.hash AS password FROM people p \\\n JOIN zones z ON z.id = p.zone \\\n\
         WHERE p.mail = '%u' AND p.active=1 AND z.paid = 1 AND '%s' != 'pop3'\n\
         user_query = SELECT '/srv/mail/%d/%n' AS home, 'maildir:~/Maildir:INDEX=/tmp' AS mail, p.owner AS uid, 'mail' AS gid, \
         CONCAT('*:storage=', p.mib, 'M:messages=', p.count) AS quota_rule FROM people p \
         WHERE p.mail = '%u' AND p.active = 1",
    );
    let (translated, config) = converted("dovecot-sql.conf.ext", &text);
    let accounts = &model(&config).accounts;
    assert_eq!(translated.password.expose(), b"x");
    assert_eq!(accounts.from, "people p JOIN zones z ON z.id = p.zone");
    assert_eq!((accounts.find.sql.as_str(), accounts.filter.as_deref()), ("p.mail = ?", Some("p.active=1")));
    // What logins need and mailboxes do not keeps out logins only.
    assert_eq!(
        field(&config, Field::Services),
        "CASE WHEN z.paid = 1 THEN COALESCE(NULLIF(CONCAT_WS(',', 'imap', 'smtp', 'sieve', 'webmail'), ''), 'none') \
         ELSE 'none' END"
            .replace(
                "COALESCE(NULLIF(CONCAT_WS(',', 'imap', 'smtp', 'sieve', 'webmail'), ''), 'none')",
                "'imap,smtp,sieve,webmail'"
            )
    );
    assert_eq!(field(&config, Field::QuotaBytes), "GREATEST(p.mib * 1048576, 0)");
    assert_eq!(field(&config, Field::QuotaMessages), "GREATEST(p.count, 0)");
    assert_eq!((config.mailbox.home.as_str(), config.mailbox.maildir.as_str()), ("/srv/mail/%d/%n", "Maildir"));
    assert_eq!((field(&config, Field::Uid), config.mailbox.min_uid), ("p.owner", Some(500)));
    assert_eq!(config.password.rules.default_scheme.name(), "plain-md5");
    assert!(warnings(&translated).contains("the options :INDEX=/tmp are not taken over"), "{}", warnings(&translated));
}

#[test]
fn a_column_of_the_service_is_read_for_each_service() {
    let text = file(
        "mysql",
        "password_query = SELECT password FROM box WHERE username = '%u' AND `enable%Ls%Lc` = 1\n\
         user_query = SELECT '/srv/%u' AS home, 8 AS uid, 8 AS gid FROM box WHERE username='%u' AND `enable%Ls%Lc` = 1",
    );
    let (_, config) = converted("dovecot-sql.conf.ext", &text);
    let services = field(&config, Field::Services);
    for (service, column) in
        [("imap", "imap"), ("pop3", "pop3"), ("smtp", "smtp"), ("sieve", "sieve"), ("webmail", "imap")]
    {
        let part = format!("CASE WHEN `enable{column}secured` = 1 THEN '{service}' END");
        assert!(services.contains(&part), "{services}");
    }
    assert_eq!(field(&config, Field::Receives), "CASE WHEN `enablelmtp` = 1 THEN 1 ELSE 0 END");
}

#[test]
fn capital_names_of_services_are_put_in() {
    let text = file(
        "mysql",
        "password_query = SELECT password FROM t WHERE a='%u' AND (flags = 'ALL' OR LOCATE('%Us', flags) > 0)",
    );
    let (_, config) = converted("dovecot-sql.conf.ext", &text);
    let services = field(&config, Field::Services);
    assert!(services.contains("CASE WHEN (flags = 'ALL' OR LOCATE('POP3', flags) > 0) THEN 'pop3' END"), "{services}");
}

#[test]
fn accounts_with_networks_cannot_log_in() {
    let text = file("mysql", "password_query = SELECT password, t.allow_nets FROM t WHERE a='%u'");
    let (translated, config) = converted("dovecot-sql.conf.ext", &text);
    assert_eq!(field(&config, Field::Services), "CASE WHEN COALESCE(t.allow_nets, '') = '' THEN NULL ELSE 'none' END");
    assert!(warnings(&translated).contains("accounts with allow_nets cannot log in"), "{}", warnings(&translated));
}

#[test]
fn a_format_in_a_column_keeps_out_what_is_no_maildir() {
    let text = file(
        "mysql",
        "password_query = SELECT password FROM t WHERE a='%u'\n\
         user_query = SELECT dir AS home, CONCAT(format, ':', dir, '/box') AS mail, uid, gid FROM t WHERE a = '%u'",
    );
    let (_, config) = converted("dovecot-sql.conf.ext", &text);
    assert_eq!(field(&config, Field::Maildir), "CONCAT(dir, '/box')");
    assert_eq!(field(&config, Field::Services), "CASE WHEN format = 'maildir' THEN NULL ELSE 'none' END");
    assert_eq!(field(&config, Field::Receives), "CASE WHEN format = 'maildir' THEN 1 ELSE 0 END");
}

#[test]
fn a_login_found_by_several_columns_is_noted() {
    let text =
        file("pgsql", "password_query = SELECT mail AS user, password FROM t WHERE (name = '%u' OR mail = '%u')");
    let (translated, config) = converted("dovecot-sql.conf.ext", &text);
    assert_eq!(model(&config).accounts.find.sql, "(name = ? OR mail = ?)");
    assert!(notes(&translated).contains("finds an account by several columns"), "{}", notes(&translated));
}

#[test]
fn a_quoted_query_of_sqlite_keeps_its_signs() {
    let text = "driver=sqlite\nconnect = /srv/mail.db\ndefault_pass_scheme = SHA512.HEX\n\
        password_query = \"SELECT name || '@' || zone AS user, hash AS password, '/srv/' || zone || '/%n' AS userdb_home, \\\n\
        8 AS userdb_uid, 8 AS userdb_gid, 'maildir:~/m' AS userdb_mail FROM t WHERE name = '%n' AND zone = '%d' AND \
        note <> '# 100%%'\"\n";
    let (_, config) = converted("dovecot-sql.conf.ext", text);
    let accounts = &model(&config).accounts;
    assert_eq!(accounts.find.sql, "name = ? AND zone = ?");
    assert_eq!(accounts.filter.as_deref(), Some("note <> '# 100%'"));
    assert_eq!(field(&config, Field::Home), "'/srv/' || zone || '/' || LOWER(name)");
    assert_eq!(field(&config, Field::Password), "CASE WHEN hash LIKE '{%' THEN hash ELSE '{SHA512.HEX}' || hash END");
}

#[test]
fn blocks_of_dovecot_24_are_read() {
    let text = "sql_driver = pgsql\nauth_default_domain = example.com\nmail_path = %{home}/Mail # all\n\
        pgsql db1 {\n parameters {\n user = mail\n dbname = mail\n }\n}\npgsql db2 { port = 5433\n}\n\
        passdb sql {\n default_password_scheme = PLAIN\n query = SELECT mail AS user, pw AS password FROM t \\\n\
        WHERE mail = '%{user | lower}' AND ('%{protocol | upper}' = 'IMAP' OR sends)\n}\n\
        userdb sql {\n query = SELECT '/srv/%{user | domain}/%{user | username}' AS home, 7 AS uid, 7 AS gid, \
        q || 'M' AS quota_storage_size FROM t WHERE mail = '%{user | lower}'\n}\n";
    let (translated, config) = converted("dovecot.conf", text);
    assert_eq!(config.database.url.to_string(), "postgres://mail@db1:5432,db2:5433/mail");
    assert_eq!((config.mailbox.home.as_str(), config.mailbox.maildir.as_str()), ("/srv/%d/%n", "Mail"));
    assert_eq!(config.login.default_domain.as_deref(), Some("example.com"));
    assert_eq!(field(&config, Field::QuotaBytes), "GREATEST(CAST(q AS bigint) * 1048576, 0)");
    let services = field(&config, Field::Services);
    assert!(services.contains("'imap'") && services.contains("CASE WHEN sends THEN 'pop3' END"), "{services}");
    assert!(notes(&translated).contains("without TLS"), "{}", notes(&translated));
}

#[test]
fn joins_in_another_order_are_the_same_tables() {
    let text = file(
        "pgsql",
        "password_query = SELECT b.mail AS user, password FROM box b JOIN zone AS z ON b.zone = z.id WHERE b.mail = '%u' AND \
         z.paid\nuser_query = SELECT '/srv/' || z.name AS home, 8 AS uid, 8 AS gid FROM zone z INNER JOIN box b ON \
         (z.id = b.zone) WHERE b.mail = '%u'",
    );
    let (_, config) = converted("dovecot-sql.conf.ext", &text);
    assert_eq!(model(&config).accounts.from, "box b JOIN zone AS z ON b.zone = z.id");
    assert_eq!(field(&config, Field::Services), "CASE WHEN z.paid THEN NULL ELSE 'none' END");
    let other = text.replace("(z.id = b.zone)", "(z.id = b.other)");
    assert!(super::refusals("f.ext", &other).contains("f.ext:4: user_query: reads other tables than password_query"));
}

#[test]
fn a_sub_select_gets_the_columns_of_the_row() {
    let text = file(
        "mysql",
        "password_query = SELECT mail AS user, pw AS password FROM people WHERE mail = '%u' AND NOT EXISTS (SELECT 1 FROM \
         closed WHERE name = '%d')",
    );
    let (_, config) = converted("dovecot-sql.conf.ext", &text);
    assert_eq!(
        model(&config).accounts.filter.as_deref(),
        Some("NOT EXISTS (SELECT 1 FROM closed WHERE name = LOWER(SUBSTRING_INDEX(people.mail, '@', -1)))")
    );
    // Inside, the name of the table would mean another row.
    let same = text.replace("FROM closed", "FROM people");
    assert!(super::refusals("f.ext", &same).contains("password_query: has the login in a sub-select"));
}

#[test]
fn services_that_no_condition_names_are_not_permitted() {
    let services = |condition: &str| {
        let text = file("mysql", &format!("password_query = SELECT password FROM t WHERE a='%u' AND {condition}"));
        field(&converted("f.ext", &text).1, Field::Services).to_owned()
    };
    assert_eq!(services("'%s' IN ('imap', 'pop3', 'smtp', 'sieve')"), "'imap,pop3,smtp,sieve,webmail'");
    assert_eq!(
        services("((b = 1 AND '%s' = 'imap') OR (b = 1 AND '%s' IN ('pop3', 'smtp', 'sieve')))"),
        "COALESCE(NULLIF(CONCAT_WS(',', CASE WHEN b = 1 THEN 'imap' END, CASE WHEN b = 1 THEN 'pop3' END, CASE WHEN b = 1 \
         THEN 'smtp' END, CASE WHEN b = 1 THEN 'sieve' END, CASE WHEN b = 1 THEN 'webmail' END), ''), 'none')"
    );
    assert!(services("('%s' = 'pop3' AND b = 1 OR '%s' != 'pop3')").contains("CASE WHEN b = 1 THEN NULL"));
    assert!(services("`may_%s` = 1").starts_with("COALESCE("), "{}", services("`may_%s` = 1"));
    assert!(
        services("FIND_IN_SET('%s', b)").contains("FIND_IN_SET('calendar', b) THEN NULL"),
        "{}",
        services("FIND_IN_SET('%s', b)")
    );
}
