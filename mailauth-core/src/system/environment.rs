//! Environment variables, as far as they can be trusted.

use std::ffi::OsString;

/// Returns true if this process has more rights than the user that started it, as a set-id program has. Its environment
/// was set by that user and must not decide anything.
pub fn is_foreign() -> bool {
    // SAFETY: it takes a number and returns one; for an unknown number it returns 0. The system sets this value for
    // every program (getauxval(3)).
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Returns the value of a variable; `None` if the environment cannot be trusted.
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
