//! The memory that a test's database server has for the pages of its tables.

/// Returns the mebibytes of page memory: `$MAILAUTH_SERVER_MIB`, or 32.
///
/// Tests start many servers at once and store few rows, so they get little. A bench with a million accounts can be run
/// with the memory of a real database host.
///
/// # Panics
///
/// Panics if the variable is not a number of mebibytes.
pub fn mebibytes() -> u32 {
    let Ok(given) = std::env::var("MAILAUTH_SERVER_MIB") else { return 32 };
    given.parse().unwrap_or_else(|_| panic!("MAILAUTH_SERVER_MIB={given} is not a number of mebibytes"))
}
