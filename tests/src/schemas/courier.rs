//! The table that Courier's documentation recommends.

use super::{Case, EVERYWHERE, EXACT, MYSQL, Schema, domain, login, lookup, recipient};
use crate::Kind;

const SQLITE: &[Kind] = &[Kind::Sqlite];

pub(super) const SCHEMA: Schema = Schema {
    profile: "courier",
    program: "Courier",
    databases: EVERYWHERE,
    config: "[schema]\nprofile = \"courier\"\ndomains = [\"hill.example\"]\n",
    cases,
    sql: include_str!("../../schemas/courier.sql"),
};

fn cases() -> Vec<Case> {
    vec![
        login("agnes@hill.example", "imap", "agnes opens")
            .yes("bytes and messages")
            .ids(1600, 1600)
            .home("/home/vmail/hill.example/agnes")
            .maildir("/home/vmail/hill.example/agnes/Maildir")
            .quota(209_715_200, 2000)
            .name("Agnes Hill"),
        login("boris@hill.example", "imap", "boris opens").yes("in clear alone").quota(0, 0),
        login("clara@hill.example", "imap", "clara opens").yes("crypt goes before clear; -1S is no limit").quota(0, 0),
        login("clara@hill.example", "imap", "clara clear").no("crypt goes before clear"),
        login("dario@hill.example", "imap", "dario opens").no("disableimap=1"),
        login("dario@hill.example", "pop3", "dario opens")
            .yes("disablepop3=0 permits; {MD5} in base64")
            .options("disableimap=1,disablepop3=0"),
        login("elsa@hill.example", "imap", "elsa opens").yes("{SHA}"),
        login("elsa@hill.example", "webmail", "elsa opens").no("disablewebmail=yes"),
        login("felix@hill.example", "imap", "felix opens")
            .yes("{SHA256}; a Maildir elsewhere")
            .maildir("/srv/mail/felix"),
        login("greta@hill.example", "imap", "greta opens").no("root cannot be the user of a mailbox"),
        lookup("greta@hill.example").not_now("a row that is wrong bounces no mail"),
        login("henri", "imap", "henri opens").yes("a login without a domain").home("/home/henri").named("henri"),
        login("jonas@hill.example", "imap", "jonas opens").no("no password"),
        login("liam@hill.example", "smtp", "liam opens").no("disablesmtp=1"),
        login("liam@hill.example", "webmail", "liam opens").yes("DES; webmail remains"),
        login("mona@hill.example", "imap", "mona opens")
            .yes("a capital in the row")
            .named("mona@hill.example")
            .on(MYSQL),
        login("mona@hill.example", "imap", "mona opens").no("a capital in the row").on(EXACT),
        login("oskar@hill.example", "imap", "oskar opens").no("disableimap without a value"),
        login("oskar@hill.example", "pop3", "oskar opens").yes("POP3 remains").quota(0, 5000),
        login("nadia@hill.example", "imap", "nadia opens").yes("NULL in every other column").quota(0, 0).on(SQLITE),
        login("nobody@hill.example", "imap", "x").no("no such account"),
        lookup("agnes@hill.example").yes(""),
        lookup("karla@hill.example").not_now("no home"),
        lookup("nobody@hill.example").no("no such account"),
        domain("hill.example").yes("of the list in the configuration"),
        domain("far.example").no("not of the list"),
        recipient("agnes@hill.example").yes(""),
        recipient("nobody@hill.example").no("no such account"),
        recipient("x@far.example").no("not of the list"),
    ]
}
