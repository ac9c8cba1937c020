//! A challenge and a response to it, in base64 with a line break between them: nothing panics, and no response verifies
//! that was not made with the password.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_core::challenge::{CramMechanism, CramResponse};
use mailauth_core::password::{HashRules, Stored};
use std::sync::LazyLock;

static CLEAR: LazyLock<Stored> = LazyLock::new(|| read(b"{PLAIN}a password that no fuzzer finds"));
static STATE: LazyLock<Stored> =
    LazyLock::new(|| read(b"{CRAM-MD5}db8cc4eac14d5233b4ddf8a4580c2704491432d4ff3fe0bee1ff47f3ef0c845c"));

fn read(stored: &[u8]) -> Stored {
    Stored::parse(stored, &HashRules::default()).expect("a sound value")
}

fuzz_target!(|input: &[u8]| {
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (challenge, response) = input.split_at(at);
    let response = response.strip_prefix(b"\n").unwrap_or_default();
    if let Some(response) = CramResponse::new(challenge.to_vec(), b"anna", response) {
        assert!(!response.verify(CramMechanism::Apop, &CLEAR) && !response.verify(CramMechanism::Apop, &STATE));
    }
    let Some(response) = CramResponse::parse(challenge, response) else { return };
    for mechanism in [CramMechanism::Apop, CramMechanism::Md5, CramMechanism::Sha1, CramMechanism::Sha256] {
        assert!(!response.verify(mechanism, &CLEAR) && !response.verify(mechanism, &STATE));
    }
});
