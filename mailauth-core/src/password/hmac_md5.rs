//! HMAC-MD5 continued from the states that follow the block of the key, as CRAM-MD5 stores them.

use crate::Secret;
use md5::block_api::compress;
use md5::{Digest, Md5};
use zeroize::{Zeroize, Zeroizing};

const BLOCK: usize = 64;

/// MD5's state before its first block (RFC 1321).
const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// MD5's chaining states after the block of a key with the outer pad and with the inner pad, in this order. They are
/// what CRAM-MD5 needs of a password.
///
/// Each state is four words in little-endian order. A key of more than 64 bytes is hashed first (RFC 2104).
pub struct HmacMd5State(Secret);

impl HmacMd5State {
    /// Returns the states of a clear password.
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

    /// Returns the states that these 32 bytes hold.
    pub(super) fn from_bytes(bytes: Secret) -> Self {
        HmacMd5State(bytes)
    }

    /// Returns the 32 bytes of both states.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose()
    }

    /// Returns the HMAC-MD5 of `message` under the key of these states.
    pub fn hmac(&self, message: &[u8]) -> [u8; 16] {
        let (outer, inner) = self.0.expose().split_at_checked(16).unwrap_or_default();
        finish(outer, &finish(inner, message))
    }
}

/// Returns the MD5 of a block after which the state is `state`, followed by `message`.
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
