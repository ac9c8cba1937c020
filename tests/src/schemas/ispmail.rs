//! The ISPmail guide of workaround.org.

use super::{Case, MYSQL, Schema, alias, domain, login, recipient};

pub(super) const SCHEMA: Schema = Schema {
    profile: "ispmail",
    program: "ISPmail",
    databases: MYSQL,
    config: "[schema]\nprofile = \"ispmail\"\n",
    cases,
    sql: include_str!("../../schemas/ispmail.sql"),
};

fn cases() -> Vec<Case> {
    vec![
        login("agnes@hill.example", "imap", "agnes opens")
            .yes("{BLF-CRYPT}")
            .ids(5000, 5000)
            .home("/var/vmail/hill.example/agnes")
            .maildir("/var/vmail/hill.example/agnes/Maildir")
            .quota(0, 0),
        login("boris@hill.example", "smtp", "boris opens").yes("{SHA256-CRYPT}").quota(200 << 20, 0),
        login("clara@hill.example", "pop3", "clara opens").yes("{PLAIN-MD5}").quota(2_147_483_647, 0),
        login("dario@hill.example", "imap", "dario opens").yes("yescrypt; a negative quota is none").quota(0, 0),
        login("elsa@bay.example", "imap", "elsa opens")
            .yes("capitals in the row")
            .named("elsa@bay.example")
            .home("/var/vmail/bay.example/elsa"),
        login("felix@hill.example", "imap", "felix opens").no("no password"),
        login("greta@hill.example", "imap", "*").no("* is no password"),
        login("henri@hill.example", "imap", "henri opens").no("a password in clear without {PLAIN}"),
        login("jonas@hill.example", "imap", "jonas opens").yes("in the second row of the domain"),
        login("Ägnes@hill.example", "imap", "agnes opens").no("the collation ignores the accent"),
        domain("hill.example").yes("two rows"),
        domain("bay.example").yes("a capital in the row"),
        domain("far.example").no("no such domain"),
        alias("agnes@hill.example").no("itself alone"),
        alias("info@hill.example").leads_to(&["boris@hill.example", "agnes@hill.example"], "two rows, in their order"),
        alias("boris@hill.example").leads_to(&["boris@hill.example", "boris@far.example"], "kept and forwarded"),
        alias("clara@hill.example").leads_to(&["clara@far.example"], "forwarded and not kept"),
        alias("pair@hill.example").leads_to(&["agnes@hill.example", "boris@hill.example"], "two in a row"),
        alias("press@hill.example").leads_to(&["Agnes@Hill.example"], "targets are handed on as they are"),
        alias("nobody@lake.example").leads_to(&["iris@lake.example"], "catch-all"),
        alias("iris@lake.example").no("an account goes before the catch-all"),
        alias("root@hill.example").not_now("a local user is no address"),
        recipient("agnes@hill.example").yes(""),
        recipient("nobody@lake.example").yes("catch-all"),
        recipient("greta@hill.example").yes("a locked password does not stop mail"),
        recipient("pair@hill.example").yes("two targets"),
        recipient("nobody@hill.example").no("no such address"),
        recipient("x@far.example").no("not kept here"),
    ]
}
