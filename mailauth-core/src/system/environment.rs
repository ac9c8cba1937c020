//! Variables of the environment, as far as they may be believed.

use std::ffi::OsString;

/// Returns true if this process has more rights than the user who started it, as a set-id program: its environment is that
/// user's, and must not decide anything.
pub fn is_foreign() -> bool {
    // SAFETY: it takes a number and returns one; of a value that the system does not know it returns 0. The system sets this
    // one for every program (getauxval(3)).
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// The value of a variable; none where the environment must not be believed.
pub fn var_os(name: &str) -> Option<OsString> {
    if is_foreign() { None } else { std::env::var_os(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_program_believes_its_environment() {
        assert!(!is_foreign());
        assert_eq!(var_os("PATH"), std::env::var_os("PATH"));
    }
}
