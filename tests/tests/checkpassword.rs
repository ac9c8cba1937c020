//! The checkpassword program as its callers see it, with the real daemon and databases.

#[path = "checkpassword/bare.rs"]
mod bare;
#[path = "checkpassword/bytes.rs"]
mod bytes;
#[path = "checkpassword/contract.rs"]
mod contract;
#[path = "checkpassword/dovecot.rs"]
mod dovecot;
#[path = "checkpassword/pop3.rs"]
mod pop3;
#[path = "checkpassword/site.rs"]
mod site;
#[path = "checkpassword/static_build.rs"]
mod static_build;
