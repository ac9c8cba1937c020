//! `mailauth-pop3`: the checkpassword program that asks the daemon.

// Without glibc, the standard library has to be initialized by its own `main` to know the arguments.
#![cfg_attr(target_env = "gnu", no_main)]

use mailauth_pop3::daemon::Daemon;
use mailauth_pop3::run;

#[cfg(target_env = "gnu")]
// SAFETY: no other function of this program or its libraries has this name, which the C library's startup code calls.
#[unsafe(no_mangle)]
extern "C" fn main() -> std::ffi::c_int {
    mailauth_pop3::start::start(|| run(&Daemon)).into()
}

#[cfg(not(target_env = "gnu"))]
fn main() -> std::process::ExitCode {
    run(&Daemon).into()
}
