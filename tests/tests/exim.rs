//! The real Exim with the configuration that docs/exim.md prints, and the daemon: the replies to an SMTP client, and
//! the delivery of the mail. Each test runs with all three ways in which Exim can ask.

#[path = "exim/crowd.rs"]
mod crowd;
#[path = "exim/debian.rs"]
mod debian;
#[path = "exim/delivery.rs"]
mod delivery;
#[path = "exim/expansion.rs"]
mod expansion;
#[path = "exim/kept.rs"]
mod kept;
#[path = "exim/logins.rs"]
mod logins;
#[path = "exim/outage.rs"]
mod outage;
#[path = "exim/own_names.rs"]
mod own_names;
#[path = "readme/page.rs"]
#[allow(dead_code, reason = "tests/readme.rs uses all of it")]
mod page;
#[path = "exim/ports.rs"]
mod ports;
#[path = "exim/recipients.rs"]
mod recipients;
#[path = "exim/senders.rs"]
mod senders;
#[path = "exim/site.rs"]
mod site;
#[path = "exim/stock.rs"]
mod stock;

/// Creates a test of each function for each way to ask.
macro_rules! in_each_form {
    ($($test:ident),* $(,)?) => {
        mod dlfunc { $(#[test] fn $test() { super::$test(mailauth_tests::exim::Form::Dlfunc); })* }
        mod readsocket { $(#[test] fn $test() { super::$test(mailauth_tests::exim::Form::Readsocket); })* }
        mod run { $(#[test] fn $test() { super::$test(mailauth_tests::exim::Form::Run); })* }
    };
}
pub(crate) use in_each_form;
