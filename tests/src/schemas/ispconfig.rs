//! ISPConfig.

use super::{Case, MYSQL, Schema, alias, domain, login, lookup, recipient};

pub(super) const SCHEMA: Schema = Schema {
    profile: "ispconfig",
    program: "ISPConfig",
    databases: MYSQL,
    config: "[schema]\nprofile = \"ispconfig\"\nserver_id = 3\n",
    cases,
    sql: include_str!("../../schemas/ispconfig.sql"),
};

fn cases() -> Vec<Case> {
    [logins(), addresses(), recipients()].concat()
}

fn logins() -> Vec<Case> {
    vec![
        login("agnes@hill.example", "imap", "agnes opens")
            .yes("$6$")
            .ids(5000, 5000)
            .home("/var/vmail/hill.example/agnes")
            .maildir("/var/vmail/hill.example/agnes/Maildir")
            .quota(209_715_200, 0)
            .name("Agnes Hill"),
        login("agnes@hill.example", "imap", "agnes of seven opens").no("the row of another server"),
        login("boris@hill.example", "imap", "boris opens").no("disableimap"),
        login("boris@hill.example", "sieve", "boris opens").no("disablesieve"),
        login("boris@hill.example", "pop3", "boris opens").yes("POP3 remains").quota(0, 0),
        login("clara@hill.example", "imap", "clara opens").yes("the address counts").ids(5001, 5001),
        login("clara@hill.example", "smtp", "clara opens").no("disablesmtp"),
        login("web1_clara", "imap", "clara opens").no("the column login is not read"),
        login("dario@hill.example", "imap", "dario opens").yes("disabledeliver does not forbid logins").quota(0, 0),
        login("elsa@hill.example", "imap", "elsa opens").yes("$5$"),
        login("felix@hill.example", "imap", "felix opens").no("everything is off"),
        login("greta@moor.example", "imap", "greta opens").no("the domain is inactive"),
        login("henri@other.example", "imap", "henri opens").no("on another server"),
        login("karla@outside.example", "imap", "karla opens").no("the domain is delivered elsewhere"),
        login("ágnes@hill.example", "imap", "agnes opens").no("the collation ignores the accent"),
        lookup("elsa@hill.example").yes("").home("/var/vmail/hill.example/elsa"),
        lookup("nobody@hill.example").no("no such account"),
    ]
}

fn addresses() -> Vec<Case> {
    vec![
        domain("hill.example").yes("active on this server"),
        domain("moor.example").yes("kept here, although it is inactive"),
        domain("twin.example").yes("an alias domain"),
        domain("outside.example").no("delivered elsewhere"),
        domain("other.example").no("on another server"),
        domain("far.example").no("no such domain"),
        alias("agnes@hill.example").no("no alias"),
        alias("boris@hill.example").no("an empty copy"),
        alias("dario@hill.example").leads_to(&["dario@far.example"], "copies only"),
        alias("elsa@hill.example")
            .leads_to(&["elsa@hill.example", "elsa@far.example", "elsa@farther.example"], "kept and copied"),
        alias("info@hill.example").leads_to(&["agnes@hill.example", "boris@hill.example"], "two targets"),
        alias("ag@hill.example").leads_to(&["agnes@hill.example"], "the row of this server"),
        alias("old@hill.example").no("inactive"),
        alias("lines@hill.example").leads_to(&["agnes@hill.example", "boris@hill.example"], "parted by a line end"),
        alias("nobody@lake.example").leads_to(&["iris@lake.example"], "catch-all"),
        alias("iris@lake.example").no("an account goes before the catch-all"),
        alias("info@twin.example").leads_to(&["info@hill.example"], "an alias domain"),
        alias("sales@other.example").no("on another server"),
    ]
}

fn recipients() -> Vec<Case> {
    vec![
        recipient("agnes@hill.example").yes(""),
        recipient("dario@hill.example").yes("copied to another address"),
        recipient("felix@hill.example").no("postfix is n"),
        recipient("lines@hill.example").yes("two targets"),
        recipient("nobody@twin.example").no("not in the target domain"),
        recipient("agnes@twin.example").yes("an alias domain"),
        recipient("greta@moor.example").no("the domain is inactive"),
        recipient("henri@other.example").no("on another server"),
        recipient("nobody@lake.example").yes("catch-all"),
        recipient("nobody@hill.example").no("no such address"),
    ]
}
