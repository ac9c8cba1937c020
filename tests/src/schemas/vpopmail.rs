//! vpopmail with one table for all domains.

use super::{Case, EVERYWHERE, MYSQL, Schema, alias, domain, login, lookup, recipient};
use crate::Kind;

/// The databases whose tables have alias domains.
const WITH_ALIAS_DOMAINS: &[Kind] = &[Kind::MariaDb, Kind::Sqlite];

pub(super) const SCHEMA: Schema = Schema {
    profile: "vpopmail",
    program: "vpopmail",
    databases: EVERYWHERE,
    config: "[schema]\nprofile = \"vpopmail\"\n",
    cases,
    sql: include_str!("../../schemas/vpopmail.sql"),
};

fn cases() -> Vec<Case> {
    [logins(), addresses(), recipients()].concat()
}

fn logins() -> Vec<Case> {
    const AGNES: &str = "/home/vpopmail/domains/hill.example/agnes";
    vec![
        login("agnes@hill.example", "imap", "agnes opens")
            .yes("$6$")
            .ids(89, 89)
            .home(AGNES)
            .maildir("/home/vpopmail/domains/hill.example/agnes/Maildir")
            .quota(209_715_200, 0)
            .name("Agnes Hill"),
        login("agnes@hill.example", "imap", "agnes clear").no("the column of clear passwords is not read"),
        login("boris@hill.example", "imap", "boris opens").yes("$1$; NO_POP").ids(89, 89).quota(60_000_000, 2000),
        login("boris@hill.example", "pop3", "boris opens").no("NO_POP"),
        login("clara@hill.example", "imap", "clara opens").no("NO_IMAP"),
        login("clara@hill.example", "pop3", "clara opens").yes("DES; a limit of messages alone").quota(0, 2000),
        login("dario@hill.example", "imap", "dario opens").no("all four services are off"),
        login("dario@hill.example", "smtp", "dario opens").no("all four services are off"),
        login("elsa@hill.example", "imap", "elsa opens").yes("BOUNCE_MAIL does not forbid logins").quota(0, 0),
        login("felix@hill.example", "imap", "felix opens")
            .yes("no folder in the row; NULL bits")
            .home("/home/vpopmail/domains/hill.example/felix")
            .maildir("/home/vpopmail/domains/hill.example/felix/Maildir")
            .quota(0, 0),
        login("greta@hill.example", "smtp", "greta opens").no("NO_SMTP"),
        login("greta@hill.example", "imap", "greta opens")
            .yes("a folder level; a quota of 20 MB")
            .home("/home/vpopmail/domains/hill.example/0/greta")
            .quota(20 << 20, 0),
        login("henri@hill.example", "imap", "henri opens").no("an empty password"),
        login("jonas@hill.example", "imap", "jonas opens").no("no password"),
        login("maria@hill.example", "webmail", "maria opens").no("NO_WEBMAIL"),
        login("maria@hill.example", "imap", "maria opens").yes("IMAP remains").quota(1, 0),
        login("karla@fen.example", "imap", "karla opens").yes("0S is no limit").quota(0, 0),
        login("karla@fen.example", "pop3", "karla opens").no("the limits of the domain forbid POP3").on(MYSQL),
        login("karla@fen.example", "webmail", "karla opens").no("the limits of the domain forbid it").on(MYSQL),
        login("liam@fen.example", "pop3", "liam opens").yes("V_OVERRIDE"),
        login("agnes@twin.example", "imap", "agnes opens")
            .yes("logins with an alias domain are permitted")
            .named("agnes@hill.example")
            .home(AGNES)
            .on(WITH_ALIAS_DOMAINS),
        login("ωagnes@hill.example", "imap", "agnes opens").no("latin1 lacks the letter"),
        login("ágnes@hill.example", "imap", "agnes opens").no("the collation ignores the accent"),
        lookup("henri@hill.example").yes("a number alone is bytes").quota(6_000_000, 0),
        lookup("jonas@hill.example").yes("a quota of 2000 KB").quota(2000 << 10, 0),
        lookup("nobody@hill.example").no("no such account"),
    ]
}

fn addresses() -> Vec<Case> {
    vec![
        domain("hill.example").yes("has a postmaster"),
        domain("fen.example").yes("has a postmaster"),
        domain("twin.example").yes("an alias domain").on(WITH_ALIAS_DOMAINS),
        domain("dom_89").no("a row that is no domain"),
        domain("far.example").no("no such domain"),
        alias("boris@hill.example")
            .leads_to(&["boris@hill.example", "boris@far.example"], "a line with his own Maildir keeps the mail"),
        alias("clara@hill.example").leads_to(&["clara@far.example"], "forwarded and not kept"),
        alias("ticket@hill.example").not_now("a program is no address"),
        alias("archive@hill.example").not_now("the Maildir of nobody is no address"),
        alias("agnes@twin.example").leads_to(&["agnes@hill.example"], "an alias domain").on(WITH_ALIAS_DOMAINS),
        alias("shop-north@hill.example").no("qmail's wildcards are not followed"),
        alias("agnes@hill.example").no("no alias"),
    ]
}

fn recipients() -> Vec<Case> {
    vec![
        recipient("agnes@hill.example").yes(""),
        recipient("elsa@hill.example").no("BOUNCE_MAIL"),
        recipient("info@hill.example").yes("two lines"),
        recipient("dario@hill.example").yes("no login, but mail"),
        recipient("nobody@hill.example").no("no such address"),
        recipient("agnes@twin.example").yes("an alias domain").on(WITH_ALIAS_DOMAINS),
        recipient("nobody@twin.example").no("not in the target domain"),
        recipient("x@far.example").no("not kept here"),
    ]
}
