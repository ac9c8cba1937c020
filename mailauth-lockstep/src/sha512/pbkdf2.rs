//! PBKDF2 with HMAC-SHA512 (RFC 8018) as a sequence of blocks, for a key of the digest's length.
//!
//! Each iteration is an HMAC of a digest under the password: one block after the inner key and one after the outer key.
//! The hash values after the two keys are computed when the lane is loaded, and so is the first iteration.

use super::{Blocks, START, States};
use hmac::{Hmac, KeyInit, Mac};
use sha2::block_api::compress512;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

/// Number of bytes of a block.
const BLOCK: usize = 128;

/// Length in bits of a message of a key's block and a digest.
const LENGTH: u64 = (BLOCK as u64 + 64) * 8;

/// One password.
pub struct Pbkdf2 {
    /// Number of iterations that are left.
    left: u32,
    /// True if the next block is the one after the outer key.
    outer: bool,
    /// The hash values after the inner and after the outer key.
    keys: Zeroizing<[[u64; 8]; 2]>,
    /// The digest that the next block contains.
    last: Zeroizing<[u64; 8]>,
    /// The digests of all iterations, combined by exclusive or.
    sum: Zeroizing<[u64; 8]>,
}

impl Pbkdf2 {
    pub fn new(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let mut key = Zeroizing::new([0; BLOCK]);
        if password.len() > BLOCK {
            let digest: Zeroizing<[u8; 64]> = Zeroizing::new(Sha512::digest(password).into());
            key.iter_mut().zip(&*digest).for_each(|(to, byte)| *to = *byte);
        } else {
            key.iter_mut().zip(password).for_each(|(to, byte)| *to = *byte);
        }
        let last = Zeroizing::new(first_digest(&key, salt));
        let keys = Zeroizing::new([0x36, 0x5c].map(|pad| after_key(&key, pad)));
        Pbkdf2 { left: iterations.saturating_sub(1), outer: false, keys, sum: last.clone(), last }
    }

    pub fn digest(&self) -> Option<&[u64; 8]> {
        (self.left == 0).then_some(&*self.sum)
    }

    #[inline(always)]
    pub fn put(&self, lane: usize, states: &mut States, blocks: &mut Blocks) {
        let [inner, outer] = &*self.keys;
        let key = if self.outer { outer } else { inner };
        states.iter_mut().zip(key).for_each(|(to, word)| to[lane] = *word);
        let padding = [1 << 63, 0, 0, 0, 0, 0, 0, LENGTH];
        blocks.iter_mut().zip(self.last.iter().chain(&padding)).for_each(|(to, word)| to[lane] = *word);
    }

    #[inline(always)]
    pub fn advance(&mut self, lane: usize, states: &States) {
        self.last.iter_mut().zip(states).for_each(|(to, word)| *to = word[lane]);
        if self.outer {
            self.sum.iter_mut().zip(&*self.last).for_each(|(sum, word)| *sum ^= word);
            self.left -= 1;
        }
        self.outer = !self.outer;
    }
}

/// Returns the digest of the first iteration: the HMAC of the salt and the number of the key's only block.
fn first_digest(key: &[u8; BLOCK], salt: &[u8]) -> [u64; 8] {
    let mac = Hmac::<Sha512>::new(key.into()).chain_update(salt).chain_update(1_u32.to_be_bytes());
    let bytes: Zeroizing<[u8; 64]> = Zeroizing::new(mac.finalize().into_bytes().into());
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    words
}

/// Returns the hash value after the block of the key, each byte of it combined with `pad`.
fn after_key(key: &[u8; BLOCK], pad: u8) -> [u64; 8] {
    let block = Zeroizing::new(key.map(|byte| byte ^ pad));
    let mut state = START;
    compress512(&mut state, std::slice::from_ref(&*block));
    state
}
