//! A stored value, a NUL, and a password: nothing panics, no verification costs more than the limits, and the password
//! verifies only if it is stored in clear.
//!
//!     fuzz/run

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_core::password::{CostLimits, DefaultScheme, HashRules, Stored};
use std::sync::LazyLock;

/// Limits low enough to verify with every scheme many times a second.
static LIMITS: CostLimits = CostLimits {
    sha_crypt_rounds: 1000,
    bcrypt_cost: 4,
    pbkdf2_iterations: 1000,
    argon2_memory_kib: 256,
    argon2_work_kib: 512,
    argon2_lanes: 4,
    scrypt_memory_kib: 512,
};

static DEFAULTS: LazyLock<Vec<DefaultScheme>> =
    LazyLock::new(|| DefaultScheme::names().iter().filter_map(|name| DefaultScheme::from_name(name)).collect());

fuzz_target!(|input: &[u8]| {
    let [first, rest @ ..] = input else { return };
    let at = rest.iter().rposition(|byte| *byte == 0).unwrap_or(rest.len());
    let (stored, password) = rest.split_at(at);
    let password = password.strip_prefix(b"\0").unwrap_or(b"password");
    let default_scheme = DEFAULTS[usize::from(first >> 1) % DEFAULTS.len()];
    let rules = HashRules { default_scheme, trim: first & 1 == 1, limits: LIMITS.clone() };

    let Ok(stored) = Stored::parse(stored, &rules) else { return };
    let dummy = stored.dummy();
    assert_eq!((dummy.kind(), dummy.cost()), (stored.kind(), stored.cost()));
    assert_eq!(stored.verify("anna@example.org", b""), Ok(false));
    assert_ne!(dummy.verify("anna@example.org", password), Ok(true));
    if stored.verify("anna@example.org", password) == Ok(true) {
        assert!(stored.scheme().starts_with("PLAIN"), "{stored:?} accepts {password:?}");
    }
});
