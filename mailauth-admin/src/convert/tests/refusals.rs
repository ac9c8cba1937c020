//! Files that are refused, with the key, the line and the reason.

use super::{MARKER, refusals};

fn assert_refused(name: &str, text: &str, parts: &[&str]) {
    let refusals = refusals(name, text);
    for part in parts {
        assert!(refusals.contains(part), "{part} is not in\n{refusals}");
    }
}

fn dovecot(query: &str) -> String {
    format!("driver = mysql\nconnect = host=db user=u dbname=d\npassword_query = {query}\n")
}

#[test]
fn queries_that_judge_a_password_are_refused() {
    for query in [
        "SELECT NULL AS password, 'Y' AS nopassword FROM t WHERE a = '%u' AND b = MD5('%w')",
        "SELECT password FROM t WHERE a = '%u' AND secret = '%{password}'",
        "SELECT CONCAT('{PLAIN}', '%w') AS password FROM t WHERE a = '%u'",
        "SELECT password FROM t WHERE a = '%u' AND h = '%Mw'",
    ] {
        assert_refused("f.ext", &dovecot(query), &["f.ext:3: password_query: the database judges the password"]);
    }
}

#[test]
fn columns_that_leave_the_password_to_others_are_refused() {
    for column in ["proxy", "host", "destuser", "pass", "fail", "nologin", "nopassword", "nologin:protected"] {
        let query = dovecot(&format!("SELECT password, 'x' AS `{column}` FROM t WHERE a = '%u'"));
        let name = column.split(':').next().expect("a name");
        assert_refused("f.ext", &query, &[&format!("password_query: has the column {name}: ")]);
    }
}

#[test]
fn mailboxes_that_are_no_maildir_are_refused() {
    for (mail, format) in
        [("'mdbox:~/m'", "mdbox"), ("CONCAT('sdbox:', d)", "sdbox"), ("'mbox:~/m:INBOX=/v/%u'", "mbox")]
    {
        let query = dovecot(&format!(
            "SELECT password FROM t WHERE a='%u'\nuser_query = SELECT {mail} AS mail FROM t WHERE a='%u'"
        ));
        assert_refused("f.ext", &query, &["f.ext:4: user_query: ", &format!("of the format {format}")]);
    }
}

#[test]
fn variables_that_no_condition_can_keep_are_refused() {
    for (condition, variable) in [
        ("ip = '%r'", "%r"),
        ("shard = '%2.256Nu'", "%2.256Nu"),
        ("port = '%a'", "%a"),
        ("x = '%{regexp:y}'", "%{regexp:y}"),
        ("('%s' = 'imap' OR a = '%n')", "the login and the service"),
        ("b = %d", "outside quotes"),
    ] {
        let query = dovecot(&format!("SELECT password FROM t WHERE a='%u' AND {condition}"));
        assert_refused("f.ext", &query, &["f.ext:3: password_query: ", variable]);
    }
}

#[test]
fn statements_that_cannot_be_taken_apart_are_refused() {
    for (query, why) in [
        ("CALL find('%u')", "is not a SELECT but CALL"),
        ("SELECT password FROM t WHERE a='%u' UNION SELECT password FROM v WHERE a='%u'", "it has UNION"),
        ("SELECT password FROM t WHERE a='%u' GROUP BY a", "it has GROUP"),
        ("SELECT password FROM t WHERE a='%u' AND b IN (SELECT b FROM v WHERE c = '%s')", "its sub-select"),
        ("SELECT DISTINCT password FROM t WHERE a='%u'", "it has DISTINCT"),
        ("SELECT password FROM t WHERE a='%u' FOR UPDATE", "it has FOR"),
        ("SELECT * FROM t WHERE a='%u'", "has * as a column"),
        ("SELECT password FROM t", "has no WHERE"),
        ("SELECT password FROM t WHERE active = 1", "has no condition on the login"),
        ("SELECT password FROM t WHERE a='%u' AND active = 1 OR b = 1", "has no condition on the login"),
        ("SELECT password FROM t WHERE a='%u' AND b = ?", "contains a question mark"),
        ("SELECT password FROM t WHERE a='%u'; DELETE FROM t", "contains a semicolon"),
        ("SELECT password FROM t WHERE a='%u' AND /* x */ b = 1", "contains a comment"),
        ("SELECT password FROM t WHERE a='%u' AND (b = 1", "has no end for its bracket"),
        ("SELECT password FROM t WHERE a LIKE '%u'", "has no condition on the login"),
        ("SELECT password, b AS allow_nets FROM t JOIN v ON v.d = '%d' WHERE a = '%u'", "has the variable %d in FROM"),
    ] {
        assert_refused("f.ext", &dovecot(query), &[why]);
    }
}

#[test]
fn a_condition_that_the_configuration_refuses_has_its_old_key() {
    let text = format!(
        "MYSQL_SERVER h\nMYSQL_USERNAME u\nMYSQL_DATABASE d\nMYSQL_USER_TABLE t\nMYSQL_CRYPT_PWFIELD c\n\
         MYSQL_WHERE_CLAUSE a = ':login'\n{MARKER}"
    );
    assert_refused("authmysqlrc", &text, &["authmysqlrc:6: MYSQL_WHERE_CLAUSE: cannot be taken over", ":login"]);
}

#[test]
fn a_file_without_its_marker_is_refused() {
    let text = "MYSQL_SERVER h\nMYSQL_USERNAME u\nMYSQL_DATABASE d\nMYSQL_USER_TABLE t\nMYSQL_CRYPT_PWFIELD c\n";
    assert_refused("authmysqlrc", text, &["authmysqlrc: has no line that begins with ##NAME: MARKER:"]);
}

#[test]
fn several_or_other_databases_are_refused() {
    let text = dovecot("SELECT password FROM t WHERE a='%u'");
    assert_refused("f.ext", &text.replace("mysql", "cassandra"), &["f.ext:1: driver: cassandra is no database"]);
    assert_refused("f.ext", &format!("driver = pgsql\n{text}"), &["f.ext:2: driver: is set to several databases"]);
}

#[test]
fn all_refusals_of_a_file_are_told_at_once() {
    let text = "driver = oracle\npassword_query = SELECT 1 AS nopassword FROM t WHERE a = '%w'\n\
        user_query = SELECT 'mbox:x' AS mail FROM t WHERE a='%u'\n";
    let parts =
        ["f.ext:1: driver", "connect: is not set", "the column nopassword", "(%w)", "f.ext:3: user_query: mail names"];
    assert_refused("f.ext", text, &parts);
}

#[test]
fn blocks_that_decide_beside_the_query_are_refused() {
    let file = |more: &str, inside: &str| {
        format!(
            "sql_driver = mysql\n{more}\nmysql h {{\nuser = u\ndbname = d\n}}\npassdb sql {{\nquery = SELECT password \
             FROM t WHERE a = '%{{user}}'\n{inside}\n}}\n"
        )
    };
    assert_refused("f", &file("", "deny = yes"), &["passdb sql: deny decides"]);
    assert_refused("f", &file("", "fields {\nnopassword = yes\n}"), &["sets a field of every login"]);
    assert_refused("f", &file("passdb passwd-file {\ndeny = yes\n}", ""), &["f:2: passdb passwd-file: forbids logins"]);
    assert_refused("f", &file("protocol imap {\npassdb sql {\n}\n}", ""), &["is inside protocol imap"]);
    assert_refused("f", &file("auth_username_format = %{user | username}", ""), &["auth_username_format: changes"]);
    assert_refused("f", &file("!include other.conf", ""), &["names another file"]);
    assert_refused("f", &file("mail_driver = mdbox", ""), &["mail_driver: mdbox is no Maildir"]);
}

#[test]
fn files_of_other_kinds_are_named() {
    assert_refused("x", "passdb {\n driver = sql\n args = /etc/dovecot/x\n}\n", &["Dovecot 2.3's dovecot.conf"]);
    assert_refused("x", "hello\n", &["is none of the files that can be converted"]);
    assert_refused("x", "", &["is none of the files"]);
    let bytes = b"MYSQL_SERVER \xff\n".as_slice();
    let translated = super::translate("x", bytes, "p");
    assert!(translated.findings.refusals.iter().any(|refusal| refusal.line == 1 && refusal.text.contains("UTF-8")));
}

#[test]
fn a_clause_of_courier_with_a_variable_in_a_sub_select_is_refused() {
    let text = format!(
        "MYSQL_SERVER h\nMYSQL_USERNAME u\nMYSQL_DATABASE d\nMYSQL_SELECT_CLAUSE SELECT id, crypt, '', 8, 8, '/srv' FROM t \
         WHERE id = '$(local_part)' AND EXISTS (SELECT 1 FROM v WHERE w = '$(domain)')\n{MARKER}"
    );
    assert_refused(
        "authmysqlrc",
        &text,
        &["authmysqlrc:4: MYSQL_SELECT_CLAUSE: cannot be taken apart: its sub-select"],
    );
}

#[test]
fn no_part_of_a_password_is_repeated() {
    let query = "password_query = SELECT password FROM t WHERE a = '%u'";
    for (name, text) in [
        (
            "f.ext",
            format!("driver = mysql\nconnect = host=h user=u dbname=d password=one hunter2=x hunter2\n{query}\n"),
        ),
        ("f.ext", format!("driver = pgsql\nconnect = host=h user=u dbname=d password=one hunter2=x\n{query}\n")),
        ("f.ext", format!("driver = mysql\nconnect = host=h user=u dbname=d password=a\n  hunter2\n{query}\n")),
        ("f", "sql_driver = mysql\nmysql h {\n password = a\n hunter2\n}\n".to_owned()),
        ("vpopmail.mysql", "localhost|0|u|hunter2\n".to_owned()),
        ("authpgsqlrc", format!("PGSQL_CONNECTION host=h password='hunter2 user=u\n{MARKER}")),
        ("authmysqlrc", format!("MYSQL_PASSWORD hunter2\nMYSQL_PASSWORD hunter2\nMYSQL_USERNAME u\n{MARKER}")),
    ] {
        let translated = super::translate(name, text.as_bytes(), "p");
        let shown = format!("{}{:?}", translated.text, translated.findings);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
