use super::SECTIONS;
use crate::config::Config;
use crate::schema::ACCOUNT_KEYS;
use crate::schema::{Field, ForeignModel, Parameter, Profile, Separator, Tables};
use proptest::prelude::*;
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

/// Returns the messages without the name of the file.
fn lines(text: &str) -> Vec<String> {
    mistakes(text).lines().map(|line| line.trim_start_matches("m.toml:").to_owned()).collect()
}

const CUSTOM: &str = "[database]\nurl = 'sqlite:/d'\n[schema]\nprofile = 'custom'\n[schema.accounts]\n";

#[test]
fn a_text_of_the_configuration_takes_the_place_of_the_profiles() {
    let text = "[schema.accounts]\nservices = \"'imap'\"\nuid = 5000\nname = ''\nhome = \"CONCAT('{mail_root}/', m.username)\"\n\
                write_password = 'm.password'\n[schema.aliases]\nseparator = 'space'\n[schema.alias_domains]\nfind = ''\n";
    let model = model(&format!("{POSTFIXADMIN}{text}"));
    let accounts = &model.accounts;
    assert_eq!(accounts.field(Field::Services), Some("'imap'"));
    assert_eq!((accounts.field(Field::Uid), accounts.field(Field::Name)), (Some("5000"), None));
    assert_eq!(accounts.field(Field::Home), Some("CONCAT('/var/vmail/', m.username)"));
    assert_eq!(accounts.field(Field::Enabled), Some("m.active"), "the rest is the profile's");
    assert_eq!(accounts.write_password.as_deref(), Some("password"));
    assert_eq!(model.alias_domains, None);
    let aliases = model.aliases.unwrap();
    assert!(aliases.separator == Separator::Space && aliases.list.is_some());
}

#[test]
fn what_a_configuration_finds_is_listed_only_as_it_allows() {
    let aliases = |text: &str| model(&format!("{POSTFIXADMIN}[schema.aliases]\n{text}")).aliases.unwrap();
    let find = "find = 'SELECT source, target FROM forwards WHERE source = :address AND live = 1'\n";
    assert_eq!(aliases(find).list, None);
    let list = aliases(&format!("{find}key = ['id']")).list.unwrap();
    assert_eq!((list[0].key.as_slice(), list[0].filter.as_deref()), (&["id".to_owned()][..], Some("live = 1")));
    let domains = "[schema.domains]\nfind = 'SELECT name, 1 FROM domains WHERE name = :domain'";
    let domains = model(&format!("{POSTFIXADMIN}{domains}")).domains.unwrap();
    assert_eq!(domains.list.unwrap()[0].key, ["name"]);
    let union = "[schema.aliases]\nkey = 'a'\nfind = 'SELECT a, b FROM c WHERE a = :address UNION SELECT a, b FROM d \
                 WHERE a = :address'";
    assert!(lines(&format!("{POSTFIXADMIN}{union}"))[0].starts_with("7:7: [schema.aliases] key: cannot be used"));
    let alone = lines(&format!("{POSTFIXADMIN}[schema.aliases]\nkey = 'a'"));
    assert_eq!(alone, ["7:7: [schema.aliases] key: has no effect without find; remove it, or set find too"]);
}

#[test]
fn a_quota_is_in_one_text_or_in_numbers() {
    let numbers = format!("{POSTFIXADMIN}[schema.accounts]\nquota = 'm.q'\nquota_plain_is_bytes = true");
    let accounts = model(&numbers).accounts;
    assert_eq!(accounts.field(Field::QuotaBytes), None);
    assert_eq!(accounts.quota.map(|quota| (quota.sql, quota.plain_is_bytes)), Some(("m.q".to_owned(), true)));
    let both = lines(&format!("{POSTFIXADMIN}[schema.accounts]\nquota = 'm.q'\nquota_messages = 5"));
    assert_eq!(both, ["8:18: [schema.accounts] quota_messages: is set beside quota; remove one of them"]);
}

#[test]
fn a_custom_profile_says_what_it_lacks() {
    let found = lines(CUSTOM);
    assert_eq!(found.len(), 4, "{found:#?}");
    for (line, key) in found.iter().zip(["from", "find", "login", "password"]) {
        let said = format!("[schema.accounts] {key}: is not set, and the profile custom has none; write the ");
        assert!(line.contains(&said), "{line}");
    }
    let accounts = model(&format!("{CUSTOM}from = 'users'\nlogin = 'email'\npassword = 'hash'")).accounts;
    assert_eq!((accounts.find.sql.as_str(), accounts.key.as_slice()), ("email = ?", &["email".to_owned()][..]));
    let text =
        "from = 'users u'\nlogin = 'LOWER(u.email)'\npassword = 'u.hash'\nfind = 'u.email = :login AND u.host = 1'";
    let accounts = model(&format!("{CUSTOM}{text}")).accounts;
    assert_eq!((accounts.find.sql.as_str(), accounts.filter.as_deref()), ("u.email = ?", Some("u.host = 1")));
    assert_eq!(accounts.key, ["u.email"]);
    let text = "from = 'u'\nlogin = 'LOWER(a)'\npassword = 'b'\nfind = 'LOWER(a) = :login'\nwrite_password = 'b'";
    assert!(
        lines(&format!("{CUSTOM}{text}"))[0].starts_with("10:18: [schema.accounts] write_password: needs the columns")
    );
    let removed = lines(&format!("{POSTFIXADMIN}[schema.accounts]\npassword = ''"));
    assert_eq!(
        removed,
        ["7:12: [schema.accounts] password: is empty, although accounts cannot be read without it; write SQL text"]
    );
}

#[test]
fn all_mistakes_of_a_schema_are_reported_at_once() {
    let text = format!(
        "{MYSQL}[schema]\nprofile = 'postfixadmin'\nmail_rot = '/x'\nprefix = 'a-'\n\
         [schema.accounts]\nhome = \"'{{mail_rot}}/' || m.maildir\"\nservice = 'x'\nfind = \"m.username = ':login'\"\nuid = true\n\
         separator = ','\n[schema.domains]\nfind = 'UPDATE domain SET x = :domain'\n[schema.alias]\nfind = ''\n"
    );
    let found = lines(&text);
    let expected = [
        "4:11: [schema] mail_root: is not set, and the profile postfixadmin needs it",
        "5:1: [schema] mail_rot: there is no such key; did you mean mail_root?",
        "6:10: [schema] prefix: \"a-\" is not a word",
        "8:8: [schema.accounts] home: has {mail_rot}, which is not a parameter; did you mean {mail_root}?",
        "9:1: [schema.accounts] service: there is no such key; did you mean services?",
        "10:8: [schema.accounts] find: has the parameter :login in quotes",
        "11:7: [schema.accounts] uid: true is not a string; write SQL text in quotes",
        "12:1: [schema.accounts] separator: there is no such key in this section; it belongs below [schema.aliases]",
        "14:8: [schema.domains] find: begins with \"UPDATE domain SET x = :domain\"; write a single SELECT",
        "15:9: [schema.alias]: there is no such section; did you mean [schema.aliases]?",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (line, said) in found.iter().zip(expected) {
        assert!(line.starts_with(said), "{line}\nis not\n{said}");
    }
}

#[test]
fn a_key_that_does_not_belong_to_the_profile_is_refused() {
    assert!(lines("[schema]\nprofil = 'postfixadmin'")[0].ends_with("did you mean profile?"));
    assert!(lines("[schema]\nprofile = 'postfix'")[0].contains("did you mean \"postfixadmin\"? write one of own, "));
    assert!(lines("[schema]\nprofile = 'x'")[0].contains("\"x\" is not a profile; write one of own, postfixadmin"));
    let own = lines("[schema]\nmail_root = '/v'\n[schema.accounts]\nuid = 5000");
    assert_eq!(own.len(), 2, "{own:#?}");
    assert!(own[0].starts_with("2:13: [schema] mail_root: has no effect on the tables that mailauth created"));
    let unknown = lines(&format!("{POSTFIXADMIN}colour = 'x'\nschema = 3.5"));
    assert!(unknown[0].contains("the parameters of the profile postfixadmin are mail_root, prefix"), "{unknown:#?}");
    assert!(unknown[1].starts_with("7:10: [schema] schema: 3.5 is not a value of a parameter"), "{unknown:#?}");
    let custom = mistakes("[schema]\nprofile = 'custom'\nmail_root = '/v'");
    assert!(custom.contains("3:1: [schema] mail_root: is not a parameter of the profile custom, but of "), "{custom}");
    assert!(lines("[schema]\naccounts = 3")[0].contains("write [schema.accounts] on a line of its own"));
}

#[test]
fn a_profile_sets_what_the_configuration_leaves_out() {
    let scheme = |text: &str| config(text).password.rules.default_scheme.name();
    assert_eq!(scheme(POSTFIXADMIN), "plain-md5");
    assert_eq!(scheme(&format!("{POSTFIXADMIN}[password]\ndefault_scheme = 'crypt'")), "crypt");
}

#[test]
fn mailboxes_are_where_the_program_has_them() {
    let root = |text: &str| config(text).mailbox.root;
    assert_eq!(root(POSTFIXADMIN).as_deref(), Some("/var/vmail"));
    assert_eq!(root(&POSTFIXADMIN.replace("/var/vmail", "/")).as_deref(), Some("/"));
    assert_eq!(root(&format!("{POSTFIXADMIN}[mailbox]\nhome = '/srv/%u'")).as_deref(), Some("/"));
    assert_eq!(root(&format!("{POSTFIXADMIN}[mailbox]\nroot = '/var'")).as_deref(), Some("/var"));
    let custom = format!("{CUSTOM}from = 'users'\nlogin = 'email'\npassword = 'hash'\n");
    assert_eq!(root(&custom), None, "rows name no homes");
    let custom = format!("{custom}home = 'home'\n");
    assert_eq!(root(&custom).as_deref(), Some("/"));
    assert_eq!(root(&format!("{custom}[mailbox]\nhome = ''")).as_deref(), Some("/"));
    let ispmail = format!("{MYSQL}[schema]\nprofile = 'ispmail'\n");
    assert_eq!(root(&ispmail), None, "where the home of the profile begins");
    let with_homes = format!("{ispmail}[schema.accounts]\nhome = 'u.home'\n");
    assert_eq!(root(&with_homes), None, "where the home of the profile begins");
    assert_eq!(root(&format!("{with_homes}[mailbox]\nhome = '/srv/%u'")).as_deref(), Some("/"));
    assert_eq!(root(""), None, "where the home begins");
}

#[test]
fn the_administrator_uses_the_same_tables() {
    let text = format!("{POSTFIXADMIN}[admin]\nurl = 'mysql://root@localhost/postfix'");
    assert!(config(&text).administrator().unwrap().tables.foreign().is_some());
}

#[test]
fn the_examples_of_the_sample_are_valid() {
    let sample = include_str!("../../../../../mailauth.toml");
    let examples: String =
        sample.lines().filter_map(|line| line.strip_prefix("#     ")).flat_map(|line| [line, "\n"]).collect();
    let (head, sections) = examples.split_once("[schema.accounts]").unwrap();
    // A quota is one text or two numbers.
    for without in ["quota =", "quota_bytes ="] {
        let sections: String =
            sections.lines().filter(|line| !line.starts_with(without)).flat_map(|line| [line, "\n"]).collect();
        let sections = match without {
            "quota_bytes =" => sections.replace("quota_messages", "#"),
            _ => sections,
        };
        let model = model(&format!("{MYSQL}[schema]\n{head}[schema.accounts]\n{sections}"));
        assert!(model.accounts.quota.is_some() != model.accounts.field(Field::QuotaBytes).is_some());
    }
}

#[test]
fn the_sample_shows_every_key_of_the_schema() {
    let sample = include_str!("../../../../../mailauth.toml");
    for (section, keys) in SECTIONS {
        let (_, text) = sample.split_once(&format!("#     [{section}]\n")).unwrap();
        let lines = text.lines().take_while(|line| !line.starts_with("#     [") && !line.is_empty());
        let shown: Vec<&str> =
            lines.filter_map(|line| line.strip_prefix("#     ")?.split_once(" = ")).map(|l| l.0).collect();
        for key in keys {
            // Its meaning is that of the other sections.
            let is_known = *key == "key" && section != "schema.accounts" && section != "schema.aliases";
            assert!(is_known || shown.contains(key), "the sample lacks {key} of [{section}]");
        }
    }
}

#[test]
fn the_sample_names_every_profile() {
    let sample = include_str!("../../../../../mailauth.toml");
    let (_, text) = sample.split_once("# The tables of the database:").unwrap();
    let (text, _) = text.split_once("[schema]").unwrap();
    for name in Profile::names() {
        let is_there = text.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|word| word == name);
        assert!(is_there, "the sample does not name the profile {name}");
    }
}

proptest! {
    #[test]
    fn any_section_is_valid_or_has_mistakes_with_positions_in_it(
        head in prop::sample::select(vec![CUSTOM, POSTFIXADMIN, MYSQL]),
        lines in prop::collection::vec(
            (
                prop::sample::select([&ACCOUNT_KEYS[..], &["mail_root", "separator"]].concat()),
                "('|\"|)(SELECT|FROM|:login|:domain|a|[a-z.(),='\"{}5\\[\\] ]){0,20}('|\"|)",
            ),
            0..6,
        ),
        section in prop::sample::select(vec!["schema.accounts", "schema.aliases", "schema.domains", "schema", "schema.x"]),
    ) {
        let lines: String = lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let text = format!("{head}{lines}[{section}]\n{lines}");
        if let Err(errors) = Config::parse(&text, Path::new("m.toml")) {
            for mistake in errors.mistakes {
                let position = mistake.position.expect("a position");
                prop_assert!((1..=text.split('\n').count()).contains(&position.line), "{mistake} of {text}");
                prop_assert!(!mistake.to_string().contains('\n') && mistake.to_string().len() < 1500);
            }
        }
    }
}
