//! VExim.

use super::{Case, MYSQL, Schema, alias, domain, login, lookup, recipient};
use crate::Kind;

const POSTGRES: &[Kind] = &[Kind::Postgres];

pub(super) const SCHEMA: Schema = Schema {
    profile: "vexim",
    program: "VExim",
    databases: &[Kind::MariaDb, Kind::Postgres],
    config: "[schema]\nprofile = \"vexim\"\n",
    cases,
    sql: include_str!("../../schemas/vexim.sql"),
};

fn cases() -> Vec<Case> {
    [logins(), addresses(), recipients()].concat()
}

fn logins() -> Vec<Case> {
    vec![
        login("agnes@hill.example", "imap", "agnes opens")
            .yes("$6$")
            .ids(1500, 1500)
            .home("/var/vmail/hill.example/agnes")
            .maildir("/var/vmail/hill.example/agnes/Maildir")
            .quota(200 << 20, 0)
            .name("Agnes Hill"),
        login("agnes@hill.example", "imap", "wrong").no("a wrong password"),
        login("ágnes@hill.example", "imap", "agnes opens").no("the collation ignores the accent"),
        login("boris@hill.example", "pop3", "boris opens").yes("$5$").quota(0, 0),
        login("clara@hill.example", "smtp", "clara opens").yes("$1$"),
        login("dario@hill.example", "imap", "dario opens").no("disabled"),
        login("elsa@hill.example", "imap", "elsa opens")
            .yes("MySQL finds a row with a capital")
            .named("elsa@hill.example")
            .home("/var/vmail/hill.example/Elsa")
            .quota(4096 << 20, 0)
            .on(MYSQL),
        login("elsa@hill.example", "imap", "elsa opens").no("a row with a capital is not found").on(POSTGRES),
        login("info@hill.example", "imap", "*").no("* is no password"),
        login("postmaster@hill.example", "smtp", "postmaster opens").yes("an alias with a password may send"),
        login("postmaster@hill.example", "imap", "postmaster opens").no("an alias has no mailbox"),
        login("moved@hill.example", "smtp", "moved opens").no("an account of type fail"),
        login("old@hill.example", "smtp", "old opens").no("a disabled alias"),
        login("ticket@hill.example", "imap", "ticket opens")
            .yes("an account that is piped has a home")
            .home("/var/vmail/hill.example/ticket")
            .maildir("/var/vmail/hill.example/ticket/Maildir"),
        login("greta@moor.example", "imap", "greta opens").no("the domain is switched off"),
        login("iris@lake.example", "imap", "iris opens")
            .yes("{SHA256}; a home elsewhere")
            .ids(1501, 1501)
            .home("/srv/mail/lake/iris")
            .maildir("/srv/mail/lake/iris/Maildir"),
        login("robin@relay.example", "imap", "robin opens").no("the domain is not kept here"),
        login("siteadmin@admin", "imap", "siteadmin opens").no("the administrator of the site has no mailbox"),
        login("*@lake.example", "smtp", "x").no("a catch-all is no account"),
        lookup("agnes@hill.example").yes("").ids(1500, 1500).quota(200 << 20, 0),
        lookup("noreply@hill.example").no("an account of type fail"),
        lookup("dario@hill.example").no("disabled"),
    ]
}

fn addresses() -> Vec<Case> {
    vec![
        domain("hill.example").yes(""),
        domain("moor.example").yes("kept here, although it is switched off"),
        domain("relay.example").no("of type relay"),
        domain("admin").no("the hidden domain"),
        domain("twin.example").yes("an alias domain"),
        domain("far.example").no("no such domain"),
        alias("agnes@hill.example").no("forwarding is switched off"),
        alias("boris@hill.example").leads_to(&["boris@far.example", "boris@hill.example"], "forwarded and kept"),
        alias("clara@hill.example")
            .leads_to(&["clara@far.example", "clara@farther.example"], "forwarded and not kept; a space"),
        alias("info@hill.example").leads_to(&["agnes@hill.example", "boris@hill.example"], "an alias"),
        alias("old@hill.example").no("a disabled alias"),
        alias("board@hill.example").no("a group for the mail of its members alone"),
        alias("closed@hill.example").no("a disabled group"),
        alias("ticket@hill.example").not_now("a program is no address"),
        alias("agnes@twin.example").leads_to(&["agnes@hill.example"], "an alias domain"),
        alias("nobody@lake.example").leads_to(&["iris@lake.example"], "a catch-all"),
        alias("iris@lake.example").no("an account goes before the catch-all"),
        alias("henri@lake.example").no("a disabled account keeps its place"),
    ]
}

fn recipients() -> Vec<Case> {
    vec![
        recipient("agnes@hill.example").yes(""),
        recipient("choir@hill.example").yes("a group of two"),
        recipient("staff@hill.example").yes("a capital in the name of the group").on(MYSQL),
        recipient("board@hill.example").no("a group for the mail of its members alone"),
        recipient("dario@hill.example").no("disabled"),
        recipient("noreply@hill.example").no("of type fail"),
        recipient("moved@hill.example").no("of type fail, with another address"),
        recipient("noreply@lake.example").no("of type fail: it does not fall to the catch-all"),
        recipient("henri@lake.example").no("disabled: it does not fall to the catch-all"),
        recipient("nobody@lake.example").yes("catch-all"),
        recipient("boris@twin.example").yes("an alias domain"),
        recipient("nobody@twin.example").no("not in the target domain"),
        recipient("greta@moor.example").no("the domain is switched off"),
        recipient("x@relay.example").no("not kept here"),
        recipient("ticket@hill.example").not_now("a program"),
        recipient("postmaster@hill.example").yes("an alias"),
    ]
}
