//! PostfixAdmin.

use super::{Case, EVERYWHERE, EXACT, MYSQL, Schema, alias, domain, login, lookup, recipient};

pub(super) const SCHEMA: Schema = Schema {
    profile: "postfixadmin",
    program: "PostfixAdmin",
    databases: EVERYWHERE,
    config: "[schema]\nprofile = \"postfixadmin\"\nmail_root = \"/var/vmail\"\n[mailbox]\nuid = 5000\ngid = 5000\n",
    cases,
    sql: include_str!("../../schemas/postfixadmin.sql"),
};

fn cases() -> Vec<Case> {
    [logins(), addresses(), recipients()].concat()
}

fn logins() -> Vec<Case> {
    vec![
        login("agnes@hill.example", "imap", "agnes opens")
            .yes("crypt without a prefix; the domain has no expiry, so the past date of the mailbox does not count")
            .named("agnes@hill.example")
            .ids(5000, 5000)
            .home("/var/vmail/hill.example/agnes")
            .maildir("/var/vmail/hill.example/agnes")
            .quota(204_800_000, 0)
            .name("Agnes Hill"),
        login("agnes@hill.example", "imap", "boris opens").no("the password of another account"),
        login("AGNES@Hill.Example", "smtp", "agnes opens").yes("logins are folded to lower case"),
        login("agnes@hill.example", "imap", "agnes phone opens").no("passwords of apps are in a table of their own"),
        login("ágnes@hill.example", "imap", "agnes opens").no("an accent that a collation may ignore"),
        login("ωagnes@hill.example", "imap", "agnes opens").no("latin1 lacks the letter, so there is no such account"),
        login("ágnes@ωhill.example", "pop3", "agnes opens").no("the same in the domain"),
        login("boris@hill.example", "pop3", "boris opens")
            .yes("{BLF-CRYPT}")
            .home("/var/vmail/hill.example/boris")
            .quota(0, 0)
            .name("Boris"),
        login("clara@hill.example", "imap", "clara opens")
            .yes("a folder with the whole address; a negative quota is none")
            .maildir("/var/vmail/hill.example/clara@hill.example")
            .quota(0, 0),
        login("dario@hill.example", "imap", "dario opens").no("the mailbox is inactive"),
        login("elsa@hill.example", "imap", "elsa opens")
            .yes("an MD5 sum in hexadecimal; no slash at the end of the folder")
            .maildir("/var/vmail/hill.example/elsa"),
        login("felix@hill.example", "imap", "felix opens")
            .yes("MySQL finds a row with capitals")
            .named("felix@hill.example")
            .maildir("/var/vmail/Hill.example/Felix")
            .on(MYSQL),
        login("felix@hill.example", "imap", "felix opens").no("a row with capitals is not found").on(EXACT),
        login("greta@moor.example", "imap", "greta opens").no("the domain is inactive"),
        login("henri@hill.example", "imap", "henri opens").yes("smtp_active forbids SMTP alone"),
        login("henri@hill.example", "smtp", "henri opens").no("smtp_active is off"),
        login("iris@lake.example", "imap", "iris opens").yes("{ARGON2ID}"),
        login("jonas@hill.example", "imap", "jonas opens")
            .yes("{SHA512-CRYPT.B64}; a name beyond latin1")
            .quota(6_144_000_000, 0)
            .name("Jonáš Σ"),
        login("karla@term.example", "imap", "karla opens").no("the password has expired"),
        login("liam@term.example", "imap", "liam opens").yes("the password has not expired"),
        login("mira@hill.example", "imap", "mira opens").no("no password"),
        login("o'neil@hill.example", "imap", "o'neil opens").yes("a quote is part of the login"),
        login("robin@spare.example", "imap", "robin opens").yes("a mailbox may be read where mail is only relayed"),
        login("nobody@hill.example", "imap", "x").no("no such account"),
        login("info@hill.example", "imap", "x").no("an alias is no account"),
        login("agnes@twin.example", "imap", "agnes opens").no("no logins with an alias domain"),
        login("agnes", "imap", "agnes opens").no("no domain"),
        lookup("agnes@hill.example").yes("").home("/var/vmail/hill.example/agnes").quota(204_800_000, 0),
        lookup("dario@hill.example").no("inactive"),
        lookup("karla@term.example").yes("an expired password does not stop mail"),
        lookup("nobody@hill.example").no("no such account"),
        lookup("ωagnes@hill.example").no("latin1 lacks the letter"),
    ]
}

fn addresses() -> Vec<Case> {
    vec![
        domain("hill.example").yes(""),
        domain("Hill.Example").yes("capitals"),
        domain("moor.example").yes("kept here, although it is switched off"),
        domain("spare.example").no("a backup MX"),
        domain("all").no("the row ALL is no domain"),
        domain("twin.example").yes("an alias domain"),
        domain("far.example").no("no such domain"),
        domain("ωhill.example").no("latin1 lacks the letter"),
        alias("agnes@hill.example").no("its only target is itself"),
        alias("pavel@hill.example").no("its only target is itself, in capitals"),
        alias("elsa@hill.example").no("its only target is itself, before a comma"),
        alias("boris@hill.example").leads_to(&["boris@hill.example", "boris@far.example"], "kept and forwarded"),
        alias("clara@hill.example").leads_to(&["clara@far.example"], "forwarded and not kept"),
        alias("henri@hill.example")
            .leads_to(&["henri@hill.example", "henri#hill.example@autoreply.far.example"], "the vacation program"),
        alias("info@hill.example").leads_to(&["agnes@hill.example", "boris@hill.example"], "two targets"),
        alias("Info@Hill.Example").leads_to(&["agnes@hill.example", "boris@hill.example"], "capitals"),
        alias("sales@hill.example").leads_to(&["info@hill.example"], "one step"),
        alias("press@hill.example")
            .leads_to(&["agnes@hill.example", "ext@far.example"], "spaces and empty parts are dropped"),
        alias("sleep@hill.example").no("inactive"),
        alias("root@hill.example").not_now("a local user is no address"),
        alias("pipe@hill.example").not_now("a program is no address"),
        alias("file@hill.example").not_now("a file is no address"),
        alias("fail@hill.example").not_now("Exim's :fail: is no address"),
        alias("mixed@hill.example").not_now("one of two targets is no address"),
        alias("iris@lake.example").no("an account goes before the catch-all"),
        alias("nobody@lake.example").leads_to(&["iris@lake.example"], "catch-all"),
        alias("agnes@twin.example").leads_to(&["agnes@hill.example"], "an alias domain"),
        alias("info@twin.example").leads_to(&["info@hill.example"], "one step"),
        alias("agnes@gone.example").no("the alias domain is switched off"),
        alias("agnes@wide.example").leads_to(&["agnes@hill.example"], "@domain keeps the local part"),
        alias("nobody@hill.example").no("no such alias"),
        alias("ωagnes@hill.example").no("latin1 lacks the letter"),
    ]
}

fn recipients() -> Vec<Case> {
    vec![
        recipient("agnes@hill.example").yes(""),
        recipient("AGNES@HILL.EXAMPLE").yes("capitals"),
        recipient("boris@hill.example").yes("kept and forwarded"),
        recipient("clara@hill.example").yes("forwarded"),
        recipient("sales@hill.example").yes("an alias of an alias"),
        recipient("dario@hill.example").no("inactive"),
        recipient("nobody@hill.example").no("no such address"),
        recipient("sleep@hill.example").no("an inactive alias"),
        recipient("ghost@hill.example").no("its target does not exist"),
        recipient("root@hill.example").not_now("a local user is no address"),
        recipient("nobody@lake.example").yes("catch-all"),
        recipient("agnes@twin.example").yes("an alias domain"),
        recipient("sales@twin.example").yes("an alias in an alias domain"),
        recipient("nobody@twin.example").no("not in the target domain"),
        recipient("agnes@gone.example").no("the alias domain is switched off"),
        recipient("agnes@wide.example").yes("@domain keeps the local part"),
        recipient("nobody@wide.example").no("not in the target domain"),
        recipient("greta@moor.example").no("the domain is switched off"),
        recipient("help@moor.example").no("an alias in a domain that is switched off"),
        recipient("x@spare.example").no("not kept here"),
        recipient("karla@term.example").yes("an expired password does not stop mail"),
        recipient("o'neil@hill.example").yes("a quote"),
        recipient("ωagnes@hill.example").no("latin1 lacks the letter"),
    ]
}
