//! mailcow.

use super::{Case, MYSQL, Schema, alias, domain, login, lookup, recipient};

pub(super) const SCHEMA: Schema = Schema {
    profile: "mailcow",
    program: "mailcow",
    databases: MYSQL,
    config: "[schema]\nprofile = \"mailcow\"\n",
    cases,
    sql: include_str!("../../schemas/mailcow.sql"),
};

fn cases() -> Vec<Case> {
    [logins(), addresses(), recipients()].concat()
}

fn logins() -> Vec<Case> {
    vec![
        login("agnes@hill.example", "imap", "agnes opens")
            .yes("{BLF-CRYPT}")
            .ids(5000, 5000)
            .home("/var/vmail/hill.example/agnes")
            .maildir("/var/vmail/hill.example/agnes/Maildir")
            .quota(5 << 30, 0)
            .name("Agnes Hill"),
        login("boris@hill.example", "imap", "boris opens").no("imap_access is \"0\""),
        login("boris@hill.example", "sieve", "boris opens").no("sieve_access is \"0\""),
        login("boris@hill.example", "webmail", "boris opens").no("sogo_access is \"0\""),
        login("boris@hill.example", "pop3", "boris opens")
            .yes("POP3 remains; {SSHA256}")
            .home("/srv/vmail/hill.example/boris")
            .quota(0, 0),
        login("clara@hill.example", "imap", "clara opens").yes("a second factor that is not active"),
        login("dario@hill.example", "imap", "dario opens").no("inactive"),
        login("elsa@hill.example", "imap", "elsa opens").no("active is 2"),
        login("felix@hill.example", "imap", "felix opens").yes("no attributes: everything is permitted"),
        login("greta@moor.example", "imap", "greta opens").no("the domain is inactive"),
        login("henri@hill.example", "imap", "henri opens").no("an active second factor"),
        login("henri@hill.example", "imap", "henri phone opens").no("passwords of apps are not read"),
        login("jonas@hill.example", "imap", "jonas opens").no("the password is at an LDAP server"),
        login("room@hill.example", "imap", "RESOURCE").no("a resource"),
        login("karla@hill.example", "pop3", "karla opens").yes("an attribute that is missing permits"),
        login("karla@hill.example", "smtp", "karla opens").no("smtp_access is \"0\""),
        login("liam@spare.example", "imap", "liam opens").no("a backup MX"),
        login("ágnes@hill.example", "imap", "agnes opens").no("the collation ignores the accent"),
        lookup("elsa@hill.example").yes("active is 2: no login, but a mailbox"),
        lookup("dario@hill.example").no("inactive"),
        lookup("room@hill.example").no("a resource has no mailbox"),
    ]
}

fn addresses() -> Vec<Case> {
    vec![
        domain("hill.example").yes(""),
        domain("moor.example").yes("kept here, although it is inactive"),
        domain("spare.example").no("a backup MX"),
        domain("twin.example").yes("an alias domain"),
        domain("far.example").no("no such domain"),
        alias("agnes@hill.example").no("itself alone"),
        alias("boris@hill.example").leads_to(&["boris@hill.example", "boris@far.example"], "kept and forwarded"),
        alias("info@hill.example").leads_to(&["agnes@hill.example", "boris@hill.example"], "two targets"),
        alias("quiet@hill.example").leads_to(&["agnes@hill.example"], "active is 2"),
        alias("old@hill.example").no("inactive"),
        alias("noreply@hill.example").leads_to(&["null@localhost"], "discarded by a transport of Postfix"),
        alias("inside@hill.example").leads_to(&["agnes@hill.example"], "the sender is not asked"),
        alias("nobody@lake.example").leads_to(&["iris@lake.example"], "catch-all"),
        alias("iris@lake.example").no("an account goes before the catch-all"),
        alias("agnes@twin.example").leads_to(&["agnes@hill.example"], "an alias domain leads to mailboxes"),
        alias("info@twin.example").no("an alias domain does not lead to aliases"),
        alias("agnes@gone.example").no("an inactive alias domain"),
        alias("t1.now@hill.example").leads_to(&["agnes@hill.example"], "a temporary address"),
        alias("t2.past@hill.example").no("a temporary address of the past"),
        alias("t3.ever@hill.example").leads_to(&["agnes@hill.example"], "permanent"),
        alias("t4.null@hill.example").no("no time"),
        alias("room@hill.example").leads_to(&["null@localhost"], "a resource"),
    ]
}

fn recipients() -> Vec<Case> {
    vec![
        recipient("agnes@hill.example").yes(""),
        recipient("elsa@hill.example").yes("active is 2"),
        recipient("dario@hill.example").no("inactive"),
        recipient("nobody@lake.example").yes("catch-all"),
        recipient("agnes@twin.example").yes("an alias domain leads to mailboxes"),
        recipient("info@twin.example").no("an alias domain does not lead to aliases"),
        recipient("greta@moor.example").no("the domain is inactive"),
        recipient("x@spare.example").no("not kept here"),
        recipient("nobody@hill.example").no("no such address"),
    ]
}
