//! vpopmail with a table for each domain.

use super::{Case, MYSQL, Schema, alias, domain, login, lookup, recipient};

pub(super) const SCHEMA: Schema = Schema {
    profile: "vpopmail-domains",
    program: "vpopmail",
    databases: MYSQL,
    config: "[schema]\nprofile = \"vpopmail-domains\"\ndomains = [\"hill.example\", \"x-y.example\", \"order.example\"]\n",
    cases,
    sql: include_str!("../../schemas/vpopmail-domains.sql"),
};

fn cases() -> Vec<Case> {
    vec![
        login("agnes@hill.example", "imap", "agnes opens")
            .yes("$6$")
            .ids(89, 89)
            .home("/home/vpopmail/domains/hill.example/1/agnes")
            .maildir("/home/vpopmail/domains/hill.example/1/agnes/Maildir")
            .quota(209_715_200, 0)
            .name("Agnes Hill"),
        login("agnes@x-y.example", "imap", "agnes of x-y opens")
            .yes("the table of another domain")
            .home("/home/vpopmail/domains/x-y.example/agnes"),
        login("agnes@x-y.example", "imap", "agnes opens").no("the password of her namesake"),
        login("agnes@x.y.example", "imap", "agnes of x-y opens").no("a domain that is not listed"),
        login("agnes@x_y.example", "imap", "agnes of x-y opens").no("the name of the table is no domain"),
        login("boris@hill.example", "imap", "boris opens").yes("$1$"),
        login("boris@hill.example", "pop3", "boris opens").no("NO_POP"),
        login("iris@order.example", "imap", "iris opens").yes("yescrypt; a word of SQL in the domain"),
        login("iris@twin.example", "imap", "iris opens").yes("an alias domain").named("iris@order.example"),
        login("henri@users", "imap", "henri opens").no("a table that is not listed"),
        lookup("agnes@hill.example").yes(""),
        lookup("nobody@hill.example").no("no such account"),
        domain("x-y.example").yes(""),
        domain("x.y.example").no("not listed"),
        domain("twin.example").yes("an alias domain"),
        domain("far.example").no("no such domain"),
        alias("info@x-y.example").leads_to(&["agnes@x-y.example"], "of this domain"),
        alias("info@hill.example").leads_to(&["agnes@hill.example"], "of this domain"),
        alias("boris@hill.example").leads_to(&["boris@hill.example", "boris@far.example"], "kept and forwarded"),
        alias("iris@twin.example").leads_to(&["iris@order.example"], "an alias domain"),
        recipient("agnes@hill.example").yes(""),
        recipient("info@x-y.example").yes(""),
        recipient("nobody@x-y.example").no("no such address"),
        recipient("elsa@hill.example").no("BOUNCE_MAIL"),
    ]
}
