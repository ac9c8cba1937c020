//! Mailu.

use super::{Case, EVERYWHERE, Schema, alias, domain, login, lookup, recipient};

pub(super) const SCHEMA: Schema = Schema {
    profile: "mailu",
    program: "Mailu",
    databases: EVERYWHERE,
    config: "[schema]\nprofile = \"mailu\"\n",
    cases,
    sql: include_str!("../../schemas/mailu.sql"),
};

fn cases() -> Vec<Case> {
    [logins(), addresses(), recipients()].concat()
}

fn logins() -> Vec<Case> {
    vec![
        login("agnes@hill.example", "imap", "agnes opens")
            .yes("bcrypt-sha256 of passlib")
            .ids(8, 8)
            .home("/mail/agnes@hill.example")
            .maildir("/mail/agnes@hill.example")
            .quota(3_000_000_000, 0)
            .name("Agnes Hill"),
        login("agnes@hill.example", "imap", "agnes token opens").no("tokens are not read"),
        login("boris@hill.example", "imap", "boris opens").yes("{BLF-CRYPT}").quota(0, 0),
        login("boris@hill.example", "pop3", "boris opens").no("enable_pop is off"),
        login("clara@hill.example", "imap", "clara opens").no("enable_imap is off"),
        login("clara@hill.example", "webmail", "clara opens").yes("webmail has no switch"),
        login("clara@hill.example", "smtp", "clara opens").yes("SMTP has no switch"),
        login("dario@hill.example", "imap", "dario opens").no("disabled"),
        login("dario@hill.example", "smtp", "dario opens").no("disabled"),
        login("agnes@twin.example", "imap", "agnes opens").no("no logins with an alias domain"),
        login("jonas@xn--bcher-kva.example", "imap", "jonas opens").yes("PBKDF2 of passlib"),
        lookup("dario@hill.example").yes("no login, but a mailbox"),
        lookup("nobody@hill.example").no("no such account"),
    ]
}

fn addresses() -> Vec<Case> {
    vec![
        domain("hill.example").yes(""),
        domain("twin.example").yes("an alias domain"),
        domain("relay.example").no("relayed"),
        domain("far.example").no("no such domain"),
        alias("agnes@hill.example").no("an account"),
        alias("elsa@hill.example").leads_to(&["elsa@far.example", "elsa@hill.example"], "forwarded and kept"),
        alias("felix@hill.example").leads_to(&["felix@far.example", "felix@farther.example"], "forwarded and not kept"),
        alias("greta@hill.example").no("forwarding is off, and the user goes before the alias"),
        alias("henri@hill.example").no("forwarded nowhere, and kept"),
        alias("info@hill.example").leads_to(&["agnes@hill.example", "boris@hill.example"], "two targets"),
        alias("old@hill.example").no("disabled"),
        alias("anon@hill.example").no("its owner is disabled"),
        alias("owned@hill.example").leads_to(&["agnes@hill.example"], "its owner is enabled"),
        alias("nobody@lake.example").leads_to(&["iris@lake.example"], "the pattern %"),
        alias("iris@lake.example").no("an account goes before the pattern"),
        alias("shop-west@hill.example").leads_to(&["agnes@hill.example"], "a pattern"),
        alias("shop-art-1@hill.example").leads_to(&["boris@hill.example"], "the longer pattern"),
        alias("shop-one@hill.example").leads_to(&["clara@hill.example"], "an address goes before the patterns"),
        alias("x_y@hill.example").leads_to(&["agnes@hill.example"], "an underscore"),
        alias("xzy@hill.example").no("the underscore is no pattern"),
        alias("info@twin.example").leads_to(&["info@hill.example"], "an alias domain"),
    ]
}

fn recipients() -> Vec<Case> {
    vec![
        recipient("agnes@hill.example").yes(""),
        recipient("dario@hill.example").yes("no login, but mail"),
        recipient("nobody@hill.example").no("no such address"),
        recipient("agnes@twin.example").yes("an alias domain"),
        recipient("nobody@twin.example").no("not in the target domain"),
        recipient("nobody@lake.example").yes("the pattern %"),
        recipient("shop-east@hill.example").yes("a pattern"),
        recipient("x@relay.example").no("not kept here"),
    ]
}
