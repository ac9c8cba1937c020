//! iRedMail.

use super::{Case, Schema, alias, domain, login, lookup, recipient};
use crate::Kind;

pub(super) const SCHEMA: Schema = Schema {
    profile: "iredmail",
    program: "iRedMail",
    databases: &[Kind::MariaDb, Kind::Postgres],
    config: "[schema]\nprofile = \"iredmail\"\n",
    cases,
    sql: include_str!("../../schemas/iredmail.sql"),
};

fn cases() -> Vec<Case> {
    [logins(), addresses(), recipients()].concat()
}

fn logins() -> Vec<Case> {
    vec![
        login("postmaster@hill.example", "smtp", "postmaster opens").yes("{SSHA512}"),
        login("agnes@hill.example", "imap", "agnes opens")
            .yes("an empty list of networks is none")
            .ids(2000, 2000)
            .home("/var/vmail/vmail1/hill.example/a/g/n/agnes-2023.05.06.07.08.09")
            .maildir("/var/vmail/vmail1/hill.example/a/g/n/agnes-2023.05.06.07.08.09/Maildir")
            .quota(4096 << 20, 0)
            .name("Agnes Hill"),
        login("boris@hill.example", "imap", "boris opens").no("IMAP is off"),
        login("boris@hill.example", "webmail", "boris opens").no("webmail reads by IMAP"),
        login("boris@hill.example", "pop3", "boris opens").yes("POP3 remains; $1$").quota(0, 0),
        login("clara@hill.example", "smtp", "clara opens").no("SMTP is off"),
        login("clara@hill.example", "sieve", "clara opens").no("Sieve is off"),
        login("clara@hill.example", "imap", "clara opens")
            .yes("no name of a folder")
            .maildir("/var/vmail/vmail1/hill.example/c/l/a/clara-2023.05.06.07.08.09/Maildir")
            .quota(200 << 20, 0),
        login("dario@hill.example", "imap", "dario opens").no("inactive"),
        login("elsa@hill.example", "imap", "elsa opens")
            .yes("{PLAIN-MD5}; the path is in lower case")
            .home("/var/vmail/vmail1/hill.example/e/l/s/elsa-2011.05.06.07.08.09"),
        login("felix@hill.example", "imap", "felix opens").yes("enabledeliver does not forbid logins"),
        login("greta@moor.example", "imap", "greta opens").no("the domain is inactive"),
        login("henri@hill.example", "imap", "henri opens").no("allow_nets cannot be honoured"),
        login("jonas@spare.example", "imap", "jonas opens").no("a backup MX"),
        login("karla@hill.example", "imap", "karla opens").yes("the columns of TLS count"),
        login("karla@hill.example", "smtp", "karla opens").yes("the columns of TLS count"),
        login("ágnes@hill.example", "imap", "agnes opens").no("the collation ignores the accent"),
        lookup("henri@hill.example").yes("allow_nets does not stop mail").ids(2000, 2000),
        lookup("dario@hill.example").no("inactive"),
    ]
}

fn addresses() -> Vec<Case> {
    vec![
        domain("hill.example").yes(""),
        domain("moor.example").yes("kept here, although it is inactive"),
        domain("spare.example").no("a backup MX"),
        domain("twin.example").yes("an alias domain"),
        domain("gone.example").no("an inactive alias domain"),
        domain("far.example").no("no such domain"),
        alias("agnes@hill.example").no("itself alone"),
        alias("boris@hill.example").leads_to(&["boris@hill.example", "boris@far.example"], "kept and forwarded"),
        alias("clara@hill.example").leads_to(&["clara@far.example"], "forwarded and not kept"),
        alias("info@hill.example")
            .leads_to(&["boris@hill.example", "agnes@hill.example"], "in their order, without the inactive one"),
        alias("ag@hill.example").leads_to(&["agnes@hill.example"], "the alias of an account"),
        alias("members@hill.example").leads_to(&["agnes@hill.example"], "the policy of a list is not asked"),
        alias("old@hill.example").no("inactive"),
        alias("talk@hill.example").no("a mailing list is Postfix's transport"),
        alias("nobody@lake.example").leads_to(&["iris@lake.example"], "catch-all: the bare name of the domain"),
        alias("iris@lake.example").no("an account goes before the catch-all"),
        alias("agnes@twin.example").leads_to(&["agnes@hill.example"], "an alias domain"),
        alias("sales@spare.example").no("not kept here"),
    ]
}

fn recipients() -> Vec<Case> {
    vec![
        recipient("agnes@hill.example").yes(""),
        recipient("ag@hill.example").yes("the alias of an account"),
        recipient("dario@hill.example").no("inactive"),
        recipient("felix@hill.example").no("enabledeliver is 0"),
        recipient("henri@hill.example").yes("allow_nets does not stop mail"),
        recipient("nobody@lake.example").yes("catch-all"),
        recipient("info@twin.example").yes("an alias in an alias domain"),
        recipient("nobody@twin.example").no("not in the target domain"),
        recipient("x@gone.example").no("an inactive alias domain"),
        recipient("help@moor.example").no("the domain is inactive"),
        recipient("x@spare.example").no("not kept here"),
        recipient("x@relaytwin.example").no("its domain is not kept here"),
        recipient("nobody@hill.example").no("no such address"),
    ]
}
