//! `mailauth-pop3`: the checkpassword program that asks the daemon.

use mailauth_pop3::daemon::Daemon;
use std::process::ExitCode;

fn main() -> ExitCode {
    mailauth_pop3::run(&Daemon)
}
