//! Programs are recognized by the tables and columns of their documented queries.

use super::{converted, model, notes};
use crate::convert::recognize::Recognized;
use mailauth_core::schema::Profile;

/// The tables and columns of each program's queries, and its profile.
const QUERIES: [(&str, &str, &str); 12] = [
    ("postfixadmin", "mailbox", "username maildir password quota active"),
    ("vexim", "users", "username crypt pop smtp uid gid"),
    ("vexim", "users u domains d", "localpart domain domain_id crypt"),
    ("froxlor", "mail_users", "email password_enc homedir maildir"),
    ("ispmail", "virtual_users", "email password"),
    ("vpopmail", "vpopmail", "pw_name pw_domain pw_passwd pw_dir"),
    ("iredmail", "mailbox domain", "username password storagebasedirectory storagenode maildir allow_nets"),
    ("mailcow", "mailbox", "username password attributes quota"),
    ("vimbadmin", "mailbox", "username password access_restriction homedir maildir"),
    ("modoboa", "core_user admin_mailbox", "email password quota"),
    ("ispconfig", "mail_user", "email login password maildir"),
    ("courier", "passwd", "id crypt clear home"),
];

fn recognized(words: &str) -> Recognized {
    Recognized::by_names(&words.split(' ').map(str::to_owned).collect())
}

#[test]
fn programs_are_recognized_by_tables_and_columns() {
    for (profile, tables, columns) in QUERIES {
        let found = recognized(&format!("{tables} {columns}"));
        assert_eq!((found.program.map(|program| program.profile), found.prefix.as_str()), (Some(profile), ""));
        let program = found.program.expect("a program");
        let known = Profile::named(profile).expect("the profile").expect("a sound profile");
        assert_eq!(known.program, program.name, "{profile}");
    }
}

#[test]
fn a_prefix_of_tables_is_recognized() {
    let found = recognized("mail_mailbox username maildir");
    assert_eq!(found.program.map(|program| program.profile), Some("postfixadmin"));
    assert_eq!(found.prefix, "mail_");
}

#[test]
fn tables_of_no_program_are_not_taken_for_one() {
    for words in ["users login password", "passwd name", "mailbox address secret", "people localpart domain pass"] {
        assert!(recognized(words).program.is_none(), "{words}");
    }
}

#[test]
fn a_file_of_vpopmail_gets_the_whole_profile() {
    let (translated, config) = converted("vpopmail.mysql", "localhost|/run/mysqld.sock|vp|secret|vpopmail\n");
    let model = model(&config);
    assert_eq!(model.profile, "vpopmail");
    assert!(model.aliases.is_some() && model.accounts.filter.is_none());
    assert_eq!(config.database.url.to_string(), "mysql://vp@localhost:3306/vpopmail?socket=/run/mysqld.sock");
    assert!(!translated.text.contains("[schema.accounts]"), "{}", translated.text);
    assert_eq!(notes(&translated), "");
}

#[test]
fn the_number_of_a_server_is_read_from_the_condition() {
    let query = "SELECT email AS user, password FROM mail_user WHERE email = '%u' AND server_id = '3'";
    let text = format!("driver = mysql\nconnect = host=/run/s user=u dbname=d\npassword_query = {query}\n");
    let (translated, config) = converted("f.ext", &text);
    assert!(translated.text.contains("server_id = 3"), "{}", translated.text);
    let domains = model(&config).domains.as_ref().expect("domains");
    assert!(domains.find.sql.contains("d.server_id = 3"), "{}", domains.find.sql);
}
