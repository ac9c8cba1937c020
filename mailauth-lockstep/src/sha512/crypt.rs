//! sha512-crypt as a sequence of blocks.
//!
//! Source: Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", version 0.6. A round digests the result of the round
//! before (C), a sequence of the password's length (P) and one of the salt's length (S), in an order that depends on
//! whether the round's number is odd and whether it is a multiple of 3 and of 7. So there are eight messages, which differ
//! from round to round only in C. They are composed once, padded, and split into words; a round puts C into its place.
//!
//! What comes before the rounds is computed when the lane is loaded, by the function for one message: with a usual
//! password about 25 blocks, and 5,000 rounds have at least as many thousand.

use super::{Blocks, START, States};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

/// Number of bytes of a block.
const BLOCK: usize = 128;

/// Number of bytes of a digest.
const DIGEST: usize = 64;

/// Messages that a round can have.
const MESSAGES: usize = 8;

/// One password.
pub struct Crypt {
    rounds: u32,
    /// Number of rounds that are finished.
    round: u32,
    /// Number of blocks of the present round that are compressed.
    block: usize,
    messages: [Message; MESSAGES],
    /// The blocks of all messages, with zeros in the place of C.
    blocks: Zeroizing<Vec<[u64; 16]>>,
    /// The result of the last finished round: C.
    result: Zeroizing<[u64; 8]>,
}

/// One of the eight messages.
#[derive(Clone, Copy, Default)]
struct Message {
    /// Position of its first block.
    first: usize,
    /// Number of its blocks.
    count: usize,
    /// Number of bytes before C.
    before: usize,
}

/// Returns the number of bytes of memory for a password and a salt of these lengths.
pub fn memory(password: usize, salt: usize) -> usize {
    size_of::<Crypt>() + MESSAGES * blocks_of(DIGEST + salt + 2 * password) * BLOCK
}

/// Returns the number of blocks of a message of this length. Padding adds a byte and the length in 16 bytes.
fn blocks_of(length: usize) -> usize {
    (length + 17).div_ceil(BLOCK)
}

impl Crypt {
    pub fn new(password: &[u8], salt: &[u8], rounds: u32) -> Self {
        let result = first_result(password, salt);
        let p = repeated(&digest_of(password, password.len()), password.len());
        let s = repeated(&digest_of(salt, 16 + usize::from(result[0])), salt.len());
        let room = MESSAGES * blocks_of(DIGEST + salt.len() + 2 * password.len());
        let mut crypt = Crypt {
            rounds,
            round: 0,
            block: 0,
            messages: Default::default(),
            // If it grew, a copy would remain in memory.
            blocks: Zeroizing::new(Vec::with_capacity(room)),
            result: Zeroizing::new(words_of(&*result)),
        };
        for (number, message) in crypt.messages.iter_mut().enumerate() {
            *message = compose(number, &p, &s, &mut crypt.blocks);
        }
        crypt
    }

    /// Returns the number of bytes of memory that it uses.
    #[cfg(test)]
    pub fn allocated(&self) -> usize {
        size_of::<Self>() + self.blocks.capacity() * BLOCK
    }

    pub fn digest(&self) -> Option<&[u64; 8]> {
        (self.round >= self.rounds).then_some(&*self.result)
    }

    /// Returns the message of the present round.
    #[inline(always)]
    fn message(&self) -> Message {
        let round = self.round;
        let number = round & 1 | u32::from(!round.is_multiple_of(3)) << 1 | u32::from(!round.is_multiple_of(7)) << 2;
        self.messages.get(number as usize).copied().unwrap_or_default()
    }

    #[inline(always)]
    pub fn put(&self, lane: usize, states: &mut States, blocks: &mut Blocks) {
        if self.block == 0 {
            states.iter_mut().zip(START).for_each(|(word, start)| word[lane] = start);
        }
        let message = self.message();
        let Some(block) = self.blocks.get(message.first + self.block) else { return };
        blocks.iter_mut().zip(block).for_each(|(to, word)| to[lane] = *word);
        // C begins within a word, so its words are shifted and cover nine.
        let (first, shift) = (message.before / 8, message.before % 8 * 8);
        let mut high = 0;
        for (at, low) in self.result.iter().copied().chain([0]).enumerate() {
            let piece = (u128::from(high) << 64 | u128::from(low)) >> shift;
            if let Some(to) = blocks.get_mut((first + at).wrapping_sub(self.block * 16)) {
                to[lane] |= piece as u64;
            }
            high = low;
        }
    }

    #[inline(always)]
    pub fn advance(&mut self, lane: usize, states: &States) {
        self.block += 1;
        if self.block >= self.message().count {
            self.block = 0;
            self.round += 1;
            self.result.iter_mut().zip(states).for_each(|(to, word)| *to = word[lane]);
        }
    }
}

/// Returns the digest called A, which is the input of the first round.
fn first_result(password: &[u8], salt: &[u8]) -> Zeroizing<[u8; DIGEST]> {
    let b = Sha512::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let b: Zeroizing<[u8; DIGEST]> = Zeroizing::new(b.into());
    let mut a = Sha512::new().chain_update(password).chain_update(salt);
    a.update(&*repeated(&b, password.len()));
    let mut bits = password.len();
    while bits > 0 {
        a.update(if bits & 1 == 1 { &b[..] } else { password });
        bits >>= 1;
    }
    Zeroizing::new(a.finalize().into())
}

/// Returns the digest of `times` repetitions of `bytes`.
fn digest_of(bytes: &[u8], times: usize) -> Zeroizing<[u8; DIGEST]> {
    let mut digest = Sha512::new();
    (0..times).for_each(|_| digest.update(bytes));
    Zeroizing::new(digest.finalize().into())
}

/// Returns `length` bytes of repetitions of a digest.
fn repeated(digest: &[u8; DIGEST], length: usize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    bytes.extend(digest.iter().cycle().take(length));
    bytes
}

/// Appends the blocks of the message with this number: bit 0 for odd rounds, bit 1 for a message with S, bit 2 for one
/// with a second P.
fn compose(number: usize, p: &[u8], s: &[u8], blocks: &mut Vec<[u64; 16]>) -> Message {
    let c = [0; DIGEST].as_slice();
    let odd = number & 1 == 1;
    let (begin, end) = if odd { (p, c) } else { (c, p) };
    let salt = if number & 2 != 0 { s } else { b"" };
    let again = if number & 4 != 0 { p } else { b"" };
    let length = begin.len() + salt.len() + again.len() + end.len();
    let count = blocks_of(length);
    let mut bytes = Zeroizing::new(Vec::with_capacity(count * BLOCK));
    for part in [begin, salt, again, end, &[0x80]] {
        bytes.extend_from_slice(part);
    }
    bytes.resize(count * BLOCK - 8, 0);
    bytes.extend_from_slice(&(length as u64 * 8).to_be_bytes());
    let first = blocks.len();
    blocks.extend(bytes.chunks_exact(BLOCK).map(words_of));
    Message { first, count, before: if odd { length - DIGEST } else { 0 } }
}

/// Returns the words of these bytes, of which there are 8 for each word.
fn words_of<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    words
}
