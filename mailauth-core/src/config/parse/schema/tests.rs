use crate::config::Config;
use crate::schema::{Field, ForeignModel, Parameter, Separator, Tables};
use std::path::Path;

fn config(text: &str) -> Config {
    Config::parse(text, Path::new("m.toml")).unwrap_or_else(|errors| panic!("{errors}"))
}

fn model(text: &str) -> ForeignModel {
    match config(text).database.tables {
        Tables::Foreign(model) => (*model).clone(),
        Tables::Own => panic!("our own tables"),
    }
}

fn mistakes(text: &str) -> String {
    Config::parse(text, Path::new("m.toml")).expect_err(text).to_string()
}

const MYSQL: &str = "[database]\nurl = 'mysql://u@localhost/postfix'\n";
const POSTFIXADMIN: &str =
    "[database]\nurl = 'mysql://u@localhost/postfix'\n[schema]\nprofile = 'postfixadmin'\nmail_root = '/var/vmail'\n";

#[test]
fn a_profile_gives_the_tables_of_the_program() {
    let model = model(POSTFIXADMIN);
    assert_eq!((model.profile.as_str(), model.program.as_str()), ("postfixadmin", "PostfixAdmin"));
    let accounts = &model.accounts;
    assert_eq!(accounts.from, "mailbox m JOIN domain d ON d.domain = m.domain");
    assert_eq!(
        (accounts.find.sql.as_str(), &accounts.find.parameters[..]),
        ("m.username = ?", &[Parameter::Login][..])
    );
    assert_eq!(accounts.key, ["m.username"]);
    assert_eq!(accounts.field(Field::Home), Some("CONCAT('/var/vmail/', TRIM(TRAILING '/' FROM m.maildir))"));
    assert_eq!((accounts.field(Field::Uid), accounts.field(Field::Receives)), (None, None));
    let aliases = model.aliases.unwrap();
    assert_eq!(aliases.find.sql, "SELECT LOWER(a.address), a.goto FROM alias a WHERE a.active = 1 AND a.address = ?");
    assert_eq!(aliases.separator, Separator::Comma);
    assert_eq!(aliases.list.unwrap()[0].filter.as_deref(), Some("a.active = 1"));
    assert_eq!(model.reads.len(), 4);
}

#[test]
fn a_missing_parameter_is_reported_with_its_meaning() {
    let error = mistakes(&format!("{MYSQL}[schema]\nprofile = 'postfixadmin'"));
    let said =
        "m.toml:4:11: [schema] mail_root: is not set, and the profile postfixadmin needs it; write the folder that";
    assert!(error.starts_with(said), "{error}");
}
