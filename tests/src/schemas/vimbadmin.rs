//! ViMbAdmin.

use super::{Case, MYSQL, Schema, alias, domain, login, lookup, recipient};

pub(super) const SCHEMA: Schema = Schema {
    profile: "vimbadmin",
    program: "ViMbAdmin",
    databases: MYSQL,
    config: "[schema]\nprofile = \"vimbadmin\"\n",
    cases,
    sql: include_str!("../../schemas/vimbadmin.sql"),
};

fn cases() -> Vec<Case> {
    [logins(), addresses()].concat()
}

fn logins() -> Vec<Case> {
    vec![
        login("agnes@hill.example", "imap", "agnes opens")
            .yes("{BLF-CRYPT}; the prefix and the options of the Maildir are taken off")
            .ids(2200, 2200)
            .home("/srv/vmail/hill.example/agnes")
            .maildir("/srv/vmail/hill.example/agnes/mail")
            .quota(209_715_200, 0)
            .name("Agnes"),
        login("boris@hill.example", "pop3", "boris opens").no("IMAP and SMTP alone"),
        login("boris@hill.example", "imap", "boris opens").yes("an MD5 sum in hexadecimal"),
        login("boris@hill.example", "smtp", "boris opens").yes("the second of the list"),
        login("clara@hill.example", "imap", "clara opens").no("an empty list permits nothing"),
        login("dario@hill.example", "imap", "dario opens").no("inactive"),
        login("elsa@hill.example", "imap", "elsa opens")
            .yes("the user of the configuration")
            .ids(2000, 2000)
            .maildir("/srv/vmail/hill.example/elsa/Maildir"),
        login("felix@hill.example", "imap", "felix opens").no("about to be deleted"),
        login("greta@moor.example", "imap", "greta opens").no("the domain is inactive"),
        login("henri@hill.example", "imap", "henri opens").no("POP3 alone"),
        login("henri@hill.example", "pop3", "henri opens")
            .yes("a path without maildir:")
            .ids(2201, 2201)
            .maildir("/srv/vmail/hill.example/henri/mail"),
        login("jonas@hill.example", "imap", "jonas opens").yes("a capital in the row").named("jonas@hill.example"),
        login("karla@spare.example", "imap", "karla opens").no("a backup MX"),
        login("liam@hill.example", "imap", "liam opens").no("in no domain"),
        login("ägnes@hill.example", "imap", "agnes opens").no("the collation ignores the accent"),
        lookup("clara@hill.example").yes("no login, but a mailbox"),
        lookup("dario@hill.example").no("inactive"),
    ]
}

fn addresses() -> Vec<Case> {
    vec![
        domain("hill.example").yes(""),
        domain("moor.example").yes("kept here, although it is inactive"),
        domain("spare.example").no("a backup MX"),
        domain("far.example").no("no such domain"),
        alias("agnes@hill.example").no("itself alone"),
        alias("boris@hill.example").leads_to(&["boris@hill.example", "boris@far.example"], "a space and a comma"),
        alias("info@hill.example").leads_to(&["agnes@hill.example", "boris@hill.example"], "two targets"),
        alias("old@hill.example").no("inactive"),
        alias("sales@spare.example").no("not kept here"),
        alias("nobody@lake.example").leads_to(&["iris@lake.example"], "catch-all"),
        alias("iris@lake.example").no("an account goes before the catch-all"),
        alias("agnes@wide.example").leads_to(&["agnes@hill.example"], "@domain keeps the local part"),
        recipient("agnes@hill.example").yes(""),
        recipient("dario@hill.example").no("inactive"),
        recipient("agnes@wide.example").yes("a domain for a domain"),
        recipient("nobody@wide.example").no("not in the target domain"),
        recipient("greta@moor.example").no("the domain is inactive"),
        recipient("help@moor.example").no("an alias in an inactive domain"),
        recipient("sales@spare.example").no("not kept here"),
        recipient("nobody@lake.example").yes("catch-all"),
    ]
}
