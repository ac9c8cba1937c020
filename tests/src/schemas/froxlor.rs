//! froxlor.

use super::{Case, MYSQL, Schema, alias, domain, login, lookup, recipient};

pub(super) const SCHEMA: Schema = Schema {
    profile: "froxlor",
    program: "froxlor",
    databases: MYSQL,
    config: "[schema]\nprofile = \"froxlor\"\n",
    cases,
    sql: include_str!("../../schemas/froxlor.sql"),
};

fn cases() -> Vec<Case> {
    [logins(), addresses(), recipients()].concat()
}

fn logins() -> Vec<Case> {
    const BORIS: &str = "/var/customers/mail/web1/hill.example/boris/Maildir";
    vec![
        login("agnes@hill.example", "imap", "agnes opens").yes("{BLF-CRYPT}").ids(2100, 2101).quota(200 << 20, 0),
        login("boris@hill.example", "imap", "boris opens").yes("{ARGON2ID}").home(BORIS).maildir(BORIS).quota(0, 0),
        login("boris@hill.example", "pop3", "boris opens").no("pop3 is 0"),
        login("clara@hill.example", "imap", "clara opens").no("imap is 0"),
        login("clara@hill.example", "webmail", "clara opens").no("webmail reads by IMAP"),
        login("clara@hill.example", "smtp", "clara opens").yes("SMTP remains; $1$ without a prefix"),
        login("dario@hill.example", "smtp", "dario opens").no("postfix is N"),
        login("dario@hill.example", "sieve", "dario opens").no("postfix is N"),
        login("dario@hill.example", "imap", "dario opens").yes("IMAP remains"),
        login("elsa@hill.example", "imap", "elsa opens").no("every service is off"),
        login("elsa@hill.example", "smtp", "elsa opens").no("every service is off"),
        login("felix@hill.example", "imap", "felix opens").yes("capitals in the row").named("felix@hill.example"),
        login("felix@hill.example", "imap", "felix clear").no("the column of clear passwords is not read"),
        login("greta@moor.example", "imap", "greta opens").no("the domain is deactivated"),
        login("henri@dune.example", "imap", "henri opens").no("the customer is deactivated"),
        login("iris@lake.example", "imap", "iris opens").yes("$2y$ without a prefix"),
        login("jonas@xn--bcher-kva.example", "imap", "jonas opens").yes("an internationalised domain"),
        login("karla@twin.example", "imap", "karla opens").no("the domain has no mail"),
        login("ägnes@hill.example", "imap", "agnes opens").no("the collation ignores the accent"),
        lookup("elsa@hill.example").yes("no login, but a mailbox").quota(8192 << 20, 0),
        lookup("henri@dune.example").no("the customer is deactivated"),
    ]
}

fn addresses() -> Vec<Case> {
    vec![
        domain("hill.example").yes(""),
        domain("moor.example").yes("kept here, although it is deactivated"),
        domain("twin.example").no("an alias of the web server"),
        domain("far.example").no("no such domain"),
        alias("agnes@hill.example").no("itself alone"),
        alias("boris@hill.example").leads_to(&["boris@hill.example", "boris@far.example"], "kept and forwarded"),
        alias("clara@hill.example").no("itself alone, after spaces"),
        alias("dario@hill.example").leads_to(&["dario@far.example"], "forwarded and not kept"),
        alias("info@hill.example").leads_to(&["agnes@hill.example", "boris@hill.example"], "several spaces"),
        alias("empty@hill.example").no("leads nowhere"),
        alias("blank@hill.example").no("leads nowhere"),
        alias("null@hill.example").no("NULL"),
        alias("sales@dune.example").no("the customer is deactivated"),
        alias("nobody@lake.example").leads_to(&["iris@lake.example"], "catch-all"),
        alias("iris@lake.example").no("an account goes before the catch-all"),
    ]
}

fn recipients() -> Vec<Case> {
    vec![
        recipient("agnes@hill.example").yes(""),
        recipient("elsa@hill.example").yes("no login, but mail"),
        recipient("info@hill.example").yes("two targets"),
        recipient("empty@hill.example").no("leads nowhere"),
        recipient("null@hill.example").no("NULL"),
        recipient("greta@moor.example").no("the domain is deactivated"),
        recipient("help@moor.example").no("an alias in a domain that is deactivated"),
        recipient("henri@dune.example").no("the customer is deactivated"),
        recipient("x@twin.example").no("no domain of mail"),
        recipient("nobody@lake.example").yes("catch-all"),
        recipient("nobody@hill.example").no("no such address"),
    ]
}
