//! The mail servers that ask mailauth by Dovecot's authentication protocol: the real Postfix, Exim, chasquid, and Dovecot
//! 2.3 and 2.4, set up as the pages in docs/ print.

#[path = "dovecot_hosts/bookworm.rs"]
mod bookworm;
#[path = "dovecot_hosts/chasquid.rs"]
mod chasquid;
#[path = "dovecot_hosts/dovecot.rs"]
mod dovecot;
#[path = "dovecot_hosts/exim.rs"]
mod exim;
#[path = "dovecot_hosts/outage.rs"]
mod outage;
#[path = "readme/page.rs"]
#[allow(dead_code, reason = "tests/readme.rs uses all of it")]
mod page;
#[path = "dovecot_hosts/postfix.rs"]
mod postfix;
#[path = "dovecot_hosts/site.rs"]
mod site;
#[path = "dovecot_hosts/trixie.rs"]
mod trixie;
