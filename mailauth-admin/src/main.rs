//! The program `mailauth`; see the library of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    mailauth_admin::run_program()
}
