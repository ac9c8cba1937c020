//! What the configuration says instead of a profile, and tables that no profile knows.

use crate::answers::Programs;
use mailauth_tests::schemas::{Case, alias, domain, login, lookup, of, recipient};
use mailauth_tests::{Accounts, Kind, Mailauth, on_each_database};
use std::fs;

on_each_database!(
    expressions_of_the_configuration_replace_those_of_the_profile,
    a_condition_of_the_configuration_holds_for_every_account,
    queries_of_the_configuration_replace_those_of_the_profile,
    tables_may_have_a_prefix,
    tables_that_no_profile_knows_are_described_by_the_configuration,
);

/// Asserts that the programs give the right answer to every question.
#[track_caller]
fn answers_are_right(accounts: &Accounts, cases: &[Case]) {
    let server = Mailauth::unthrottled(accounts, "");
    let programs = Programs { accounts, server: &server };
    let faults: Vec<String> = cases.iter().flat_map(|case| programs.faults(case)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Returns PostfixAdmin's tables, with these lines after the configuration of the profile.
fn postfixadmin_with(kind: Kind, lines: &str) -> Accounts {
    let schema = of("postfixadmin");
    Accounts::of(&schema, kind).with_schema(&format!("{}{lines}", schema.config))
}

fn expressions_of_the_configuration_replace_those_of_the_profile(kind: Kind) {
    let lines = "[schema.accounts]\n\
                 services = \"CASE WHEN m.local_part = 'agnes' THEN 'pop3' END\"\n\
                 name = \"m.local_part\"\n\
                 quota_bytes = 1000000\n\
                 quota_messages = 500\n\
                 domain_enabled = 1\n";
    let accounts = postfixadmin_with(kind, lines);
    answers_are_right(
        &accounts,
        &[
            login("agnes@hill.example", "pop3", "agnes opens").yes("").quota(1_000_000, 500).name("agnes"),
            login("agnes@hill.example", "imap", "agnes opens").no("the list permits POP3"),
            login("henri@hill.example", "smtp", "henri opens").yes("smtp_active is not asked"),
            login("karla@term.example", "imap", "karla opens").yes("password_expiry is not asked"),
            login("greta@moor.example", "imap", "greta opens").yes("the switch of the domain is not asked"),
            login("dario@hill.example", "imap", "dario opens").no("the profile still asks active"),
        ],
    );
}

fn a_condition_of_the_configuration_holds_for_every_account(kind: Kind) {
    let accounts = postfixadmin_with(kind, "[schema.accounts]\nwhere = \"m.local_part NOT LIKE 'b%'\"\n");
    answers_are_right(
        &accounts,
        &[
            login("agnes@hill.example", "imap", "agnes opens").yes("the condition holds"),
            login("boris@hill.example", "imap", "boris opens").no("it does not hold"),
            lookup("boris@hill.example").no("it does not hold"),
        ],
    );
    // SQLite and PostgreSQL cannot find the row with capitals, which is named on the standard error.
    let output = accounts.try_admin(&["account", "list"], "");
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(listed.contains("agnes@hill.example") && !listed.contains("boris@hill.example"), "{listed}");
}

#[test]
fn a_reload_reads_the_section_again() {
    let accounts = postfixadmin_with(Kind::Sqlite, "");
    let server = Mailauth::unthrottled(&accounts, "");
    let faults = |case: &Case| Programs { accounts: &accounts, server: &server }.faults(case);
    assert_eq!(faults(&lookup("boris@hill.example").yes("the profile permits it")), [""; 0]);
    let config = fs::read_to_string(server.config_path()).expect("the configuration");
    let lines = "[schema.accounts]\nwhere = \"m.local_part NOT LIKE 'b%'\"\n";
    fs::write(server.config_path(), format!("{config}\n{lines}")).expect("another configuration");
    server.reload();
    server.wait_for_log("configuration read again");
    assert_eq!(faults(&lookup("boris@hill.example").no("the new condition does not hold")), [""; 0]);
    assert_eq!(faults(&lookup("agnes@hill.example").yes("it holds")), [""; 0]);
}

fn queries_of_the_configuration_replace_those_of_the_profile(kind: Kind) {
    let lines = "[schema.domains]\n\
                 find = \"SELECT d.domain, 1 FROM domain d WHERE d.domain = :domain\"\n\
                 [schema.aliases]\n\
                 find = \"SELECT a.address, a.goto FROM alias a WHERE a.address = :address AND :local <> 'info'\"\n\
                 separator = \"space\"\n\
                 [schema.alias_domains]\n\
                 find = \"\"\n";
    let lines = if kind == Kind::Postgres { lines.replace(":local", "CAST(:local AS text)") } else { lines.to_owned() };
    let accounts = postfixadmin_with(kind, &lines);
    accounts
        .run_sql("UPDATE alias SET goto = 'agnes@hill.example  ext@far.example ' WHERE address = 'press@hill.example'");
    answers_are_right(
        &accounts,
        &[
            domain("spare.example").yes("backup MXs are not excluded"),
            domain("twin.example").yes("it has a row"),
            alias("press@hill.example").leads_to(&["agnes@hill.example", "ext@far.example"], "parted by spaces"),
            alias("info@hill.example").no("excluded"),
            alias("sleep@hill.example").leads_to(&["agnes@hill.example"], "active is not asked"),
            alias("agnes@twin.example").no("there are no alias domains"),
            alias("nobody@lake.example").leads_to(&["iris@lake.example"], "catch-all"),
            recipient("agnes@twin.example").no("there are no alias domains"),
            recipient("agnes@hill.example").yes(""),
        ],
    );
}

fn tables_may_have_a_prefix(kind: Kind) {
    let schema = of("postfixadmin");
    let config = schema.config.replace("[schema]\n", "[schema]\nprefix = \"pa_\"\n");
    let accounts = Accounts::of(&schema, kind).with_schema(&config);
    for table in ["mailbox", "domain", "alias", "alias_domain"] {
        accounts.run_sql(&format!("ALTER TABLE {table} RENAME TO pa_{table}"));
    }
    let accounts = accounts.with_schema(&config);
    answers_are_right(&accounts, &schema.cases_on(kind));
}

/// A table of an own design: numbers for logins, a table for addresses, and everything spelled in another way.
const OWN_DESIGN: &str = "
CREATE TABLE people (
  no integer NOT NULL PRIMARY KEY, nick varchar(40) NOT NULL, house varchar(40) NOT NULL, secret varchar(120),
  blocked integer NOT NULL, folder varchar(120), megabytes integer, pop integer NOT NULL
);
CREATE UNIQUE INDEX people_nick ON people (nick, house);
CREATE TABLE houses (title varchar(40) NOT NULL PRIMARY KEY, closed integer NOT NULL);
CREATE TABLE routes (whence varchar(80) NOT NULL, rank integer NOT NULL, whither varchar(80) NOT NULL, PRIMARY KEY (whence, rank));
INSERT INTO houses VALUES ('hill.example', 0), ('moor.example', 1);
INSERT INTO people VALUES
  (1, 'agnes', 'hill.example', '{PLAIN}agnes opens', 0, '/srv/people/1', 50, 1),
  (2, 'boris', 'hill.example', '{PLAIN}boris opens', 1, '/srv/people/2', NULL, 1),
  (3, 'clara', 'hill.example', '{PLAIN}clara opens', 0, NULL, 0, 0),
  (4, 'greta', 'moor.example', '{PLAIN}greta opens', 0, '/srv/people/4', 0, 1);
INSERT INTO routes VALUES ('info@hill.example', 2, 'agnes@hill.example'), ('info@hill.example', 1, 'clara@hill.example');
";

const OWN_DESIGN_CONFIG: &str = "
[schema]
profile = \"custom\"
[schema.accounts]
from = \"people p JOIN houses h ON h.title = p.house\"
find = \"p.nick = :local AND p.house = :domain\"
login = \"LOWER(CONCAT(p.nick, '@', p.house))\"
password = \"p.secret\"
enabled = \"1 - p.blocked\"
domain_enabled = \"1 - h.closed\"
services = \"CASE WHEN p.pop = 0 THEN 'imap' END\"
home = \"p.folder\"
quota_bytes = \"p.megabytes * 1048576\"
[schema.domains]
find = \"SELECT h.title, 1 - h.closed FROM houses h WHERE h.title = :domain\"
[schema.aliases]
find = \"SELECT r.whence, r.whither FROM routes r WHERE r.whence = :address ORDER BY r.rank\"
[mailbox]
root = \"/\"
uid = 1700
gid = 1700
home = \"/srv/default/%d/%n\"
";

fn tables_that_no_profile_knows_are_described_by_the_configuration(kind: Kind) {
    let concat = "CONCAT(p.nick, '@', p.house)";
    let config = match kind {
        Kind::MariaDb => OWN_DESIGN_CONFIG.to_owned(),
        _ => OWN_DESIGN_CONFIG.replace(concat, "p.nick || '@' || p.house"),
    };
    let accounts = Accounts::holding(kind, OWN_DESIGN, &config);
    answers_are_right(
        &accounts,
        &[
            login("agnes@hill.example", "pop3", "agnes opens")
                .yes("")
                .ids(1700, 1700)
                .home("/srv/people/1")
                .maildir("/srv/people/1/Maildir")
                .quota(50 << 20, 0),
            login("agnes@hill.example", "pop3", "wrong").no("a wrong password"),
            login("boris@hill.example", "imap", "boris opens").no("blocked"),
            login("clara@hill.example", "imap", "clara opens").yes("").home("/srv/default/hill.example/clara"),
            login("clara@hill.example", "pop3", "clara opens").no("pop is 0"),
            login("greta@moor.example", "imap", "greta opens").no("closed"),
            domain("hill.example").yes(""),
            domain("moor.example").yes("kept, although closed"),
            domain("far.example").no(""),
            alias("info@hill.example").leads_to(&["clara@hill.example", "agnes@hill.example"], "by rank"),
            recipient("info@hill.example").yes(""),
            recipient("greta@moor.example").no("closed"),
            recipient("nobody@hill.example").no(""),
        ],
    );
    // The key of the accounts is that of the condition which finds one.
    let listed = accounts.admin(&["account", "list"], "");
    for login in ["agnes@hill.example", "boris@hill.example", "clara@hill.example", "greta@moor.example"] {
        assert!(listed.contains(login), "{listed}");
    }
}
