//! What CRAM-MD5 needs of a password, without the password: `{CRAM-MD5}`, `{HMAC-MD5}`, Courier's hmac-md5.
//!
//! 64 hexadecimal digits: MD5's chaining state after the block of the key with the outer pad, then with the inner one,
//! each of four words, their bytes in little-endian order. A key of more than 64 bytes is hashed first (RFC 2104).

use super::scheme::{Read, Scheme, Verifier};
use super::{Flaw, HashRules, Kind, encoding};
use crate::Secret;
use md5::block_api::compress;
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

pub const SCHEMES: &[Scheme] = &[Scheme::bytes(&["CRAM-MD5", "HMAC-MD5"], &[], read)];

const BLOCK: usize = 64;

/// MD5's state before its first block (RFC 1321).
const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// The two chaining states, outer first.
pub struct HmacMd5State(Secret);

impl HmacMd5State {
    /// Of a clear password.
    pub fn of(password: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; BLOCK]);
        if password.len() > BLOCK {
            key[..16].copy_from_slice(&Md5::digest(password));
        } else {
            key[..password.len()].copy_from_slice(password);
        }
        let states = [0x5c, 0x36].map(|pad| {
            let mut block = key.map(|byte| byte ^ pad);
            let mut state = INITIAL;
            compress(&mut state, &[block]);
            block.zeroize();
            state
        });
        HmacMd5State(Secret::new(states.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()))
    }

    /// The HMAC-MD5 of a message by the key that this is of.
    pub fn hmac(&self, message: &[u8]) -> [u8; 16] {
        let (outer, inner) = self.0.expose().split_at_checked(16).unwrap_or_default();
        finish(outer, &finish(inner, message))
    }
}

/// MD5 of a block that left `state` behind, and then `message`.
fn finish(state: &[u8], message: &[u8]) -> [u8; 16] {
    let mut words = INITIAL;
    for (word, bytes) in words.iter_mut().zip(state.chunks_exact(4)) {
        *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    let bits = ((BLOCK + message.len()) as u64).wrapping_mul(8);
    let mut rest = message.to_vec();
    rest.push(0x80);
    rest.resize((rest.len() + 8).next_multiple_of(BLOCK) - 8, 0);
    rest.extend(bits.to_le_bytes());
    for block in rest.chunks_exact(BLOCK) {
        let mut whole = [0; BLOCK];
        whole.copy_from_slice(block);
        compress(&mut words, &[whole]);
    }
    let mut digest = [0; 16];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

fn read(text: &[u8], _: &HashRules) -> Read {
    Flaw::of_length("CRAM-MD5", text.len(), 64)?;
    let states = encoding::hex(text).ok_or(Flaw::Malformed { scheme: "CRAM-MD5", what: "it is not hexadecimal" })?;
    Ok(Box::new(HmacMd5State(states.into())))
}

impl Verifier for HmacMd5State {
    fn kind(&self) -> Kind {
        Kind { scheme: "CRAM-MD5", cost: [0; 3] }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        Ok(HmacMd5State::of(password).0.expose().ct_eq(self.0.expose()).into())
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        Box::new(HmacMd5State(vec![0; 32].into()))
    }

    fn hmac_md5(&self) -> Option<&HmacMd5State> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};

    #[test]
    fn the_states_give_the_hmac_of_their_key() {
        for key in [b"k".as_slice(), &[7; 64], &[7; 65], &[9; 200]] {
            for length in [0, 1, 55, 56, 63, 64, 65, 200] {
                let message = vec![b'm'; length];
                let whole = Hmac::<Md5>::new_from_slice(key).unwrap().chain_update(&message).finalize().into_bytes();
                assert_eq!(HmacMd5State::of(key).hmac(&message), whole.as_slice(), "{length}");
            }
        }
    }
}
