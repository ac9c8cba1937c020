//! Modoboa.

use super::{Case, EVERYWHERE, Schema, alias, domain, login, lookup, recipient};

pub(super) const SCHEMA: Schema = Schema {
    profile: "modoboa",
    program: "Modoboa",
    databases: EVERYWHERE,
    config: "[schema]\nprofile = \"modoboa\"\n",
    cases,
    sql: include_str!("../../schemas/modoboa.sql"),
};

fn cases() -> Vec<Case> {
    [logins(), addresses(), recipients()].concat()
}

fn logins() -> Vec<Case> {
    vec![
        login("agnes@hill.example", "imap", "agnes opens")
            .yes("{SHA512-CRYPT}")
            .ids(5000, 5000)
            .home("/srv/vmail/hill.example/agnes")
            .maildir("/srv/vmail/hill.example/agnes/Maildir")
            .quota(4096 << 20, 0)
            .name("Agnes Hill"),
        login("boris@hill.example", "pop3", "boris opens").yes("{BLF-CRYPT}").quota(0, 0),
        login("clara@hill.example", "imap", "clara opens").no("inactive"),
        login("dario@hill.example", "imap", "dario opens").no("is_send_only"),
        login("dario@hill.example", "pop3", "dario opens").no("is_send_only"),
        login("dario@hill.example", "smtp", "dario opens").yes("is_send_only leaves SMTP"),
        login("elsa@hill.example", "imap", "elsa opens").no("the password is at an LDAP server"),
        login("greta@moor.example", "imap", "greta opens").no("the domain is disabled"),
        login("admin@hill.example", "imap", "admin opens").no("a user without a mailbox"),
        login("henri@hill.example", "imap", "henri opens")
            .yes("the address counts, not the user's name")
            .quota(10 << 20, 0)
            .name("Bach"),
        login("henri.b", "imap", "henri opens").no("the user's name is no login"),
        login("iris@lake.example", "imap", "iris opens").yes("{PLAIN-MD5}"),
        login("jonas@hill.example", "imap", "jonas opens").yes("bcrypt-sha256 of passlib"),
        login("karla@relay.example", "imap", "karla opens").no("a domain that is relayed"),
        login("ágnes@hill.example", "imap", "agnes opens").no("the collation ignores the accent"),
        lookup("clara@hill.example").no("inactive"),
        lookup("elsa@hill.example").yes("a mailbox, although the password is elsewhere"),
    ]
}

fn addresses() -> Vec<Case> {
    vec![
        domain("hill.example").yes(""),
        domain("moor.example").yes("kept here, although it is disabled"),
        domain("relay.example").no("relayed"),
        domain("twin.example").yes("an alias domain"),
        domain("gone.example").no("a disabled alias domain"),
        domain("far.example").no("no such domain"),
        alias("agnes@hill.example").no("itself alone"),
        alias("boris@hill.example").leads_to(&["boris@hill.example", "boris@far.example"], "two rows of the address"),
        alias("jonas@hill.example").leads_to(&["jonas@far.example"], "forwarded and not kept"),
        alias("info@hill.example").leads_to(&["boris@hill.example", "agnes@hill.example"], "in their order"),
        alias("old@hill.example").no("disabled"),
        alias("fair@hill.example").no("expired"),
        alias("later@hill.example").leads_to(&["agnes@hill.example"], "not expired yet"),
        alias("void@hill.example").no("without a recipient"),
        alias("iris@lake.example").no("itself alone"),
        alias("nobody@lake.example").leads_to(&["iris@lake.example"], "catch-all"),
        alias("agnes@twin.example").leads_to(&["agnes@hill.example"], "an alias domain"),
    ]
}

fn recipients() -> Vec<Case> {
    vec![
        recipient("agnes@hill.example").yes(""),
        recipient("nobody@hill.example").no("no such address"),
        recipient("dario@hill.example").no("is_send_only"),
        recipient("info@twin.example").yes("an alias in an alias domain"),
        recipient("nobody@twin.example").no("not in the target domain"),
        recipient("x@gone.example").no("a disabled alias domain"),
        recipient("greta@moor.example").no("the domain is disabled"),
        recipient("greta@moortwin.example").no("its domain is disabled"),
        recipient("fair@hill.example").no("expired"),
        recipient("clara@hill.example").no("inactive"),
        recipient("x@relay.example").no("not kept here"),
        recipient("nobody@lake.example").yes("catch-all"),
    ]
}
