//! The checkpassword program as its callers see it, over the real daemon and databases.
//!
//! With MAILAUTH_TEST_PEER=checkpassword:COMMAND, the stories that hold for every such program are told of that one too.
//! It has to know [`DORA`](mailauth_tests::people::DORA) with her password.

#[path = "checkpassword/bare.rs"]
mod bare;
#[path = "checkpassword/dovecot.rs"]
mod dovecot;
#[path = "checkpassword/pop3.rs"]
mod pop3;
#[path = "checkpassword/site.rs"]
mod site;
