//! Blowfish's tables, and their expansion with keys, for several keys at once.
//!
//! The bounds of all tables are known at compile time and the indices are masked, so no access is checked at run time. The
//! tables of all keys are one array, so that one register is enough to address them.

use super::pi;
use zeroize::{Zeroize, Zeroizing};

/// The tables of one key.
pub struct Blowfish {
    boxes: [[u32; 256]; 4],
    subkeys: [u32; 18],
}

/// The two halves of the block of each key.
type Halves<const N: usize> = [[u32; N]; 2];

impl Blowfish {
    /// Tables that hold nothing.
    pub const WIPED: Blowfish = Blowfish { boxes: [[0; 256]; 4], subkeys: [0; 18] };

    /// Begins with the digits of pi, and expands them with the salt and the key.
    pub fn start(&mut self, salt: &[u32; 18], key: &[u32; 18]) {
        self.boxes = pi::BOXES;
        self.subkeys = pi::SUBKEYS;
        self.mix(key);
        let [a, b, c, d, ..] = *salt;
        expand_with(std::array::from_mut(self), [[a, b], [c, d]]);
    }

    /// Mixes the words of a key into the subkeys, which begins an expansion.
    pub fn mix(&mut self, words: &[u32; 18]) {
        for (subkey, word) in self.subkeys.iter_mut().zip(words) {
            *subkey ^= word;
        }
    }

    /// Returns the digest: bcrypt's constant text, each of its blocks encrypted 64 times.
    pub fn digest(&self) -> Zeroizing<Vec<u8>> {
        let mut digest = Zeroizing::new(b"OrpheanBeholderScryDoubt".to_vec());
        let (blocks, _) = digest.as_chunks_mut::<8>();
        for block in blocks {
            let whole = u64::from_be_bytes(*block);
            let mut halves = [[(whole >> 32) as u32], [whole as u32]];
            for _ in 0..64 {
                encrypt(std::array::from_ref(self), &mut halves);
            }
            let [[left], [right]] = halves;
            *block = (u64::from(left) << 32 | u64::from(right)).to_be_bytes();
        }
        digest
    }

    pub fn wipe(&mut self) {
        self.boxes.zeroize();
        self.subkeys.zeroize();
    }

    #[cfg(test)]
    pub fn is_wiped(&self) -> bool {
        self.boxes == [[0; 256]; 4] && self.subkeys == [0; 18]
    }

    /// Returns Blowfish's round function of one half of the block.
    #[inline(always)]
    fn f(&self, half: u32) -> u32 {
        let half = half as usize;
        let [first, second, third, fourth] = &self.boxes;
        let sum = first[half >> 24 & 0xff].wrapping_add(second[half >> 16 & 0xff]);
        (sum ^ third[half >> 8 & 0xff]).wrapping_add(fourth[half & 0xff])
    }
}

/// Expands all tables, into whose subkeys a key has been mixed.
#[inline(never)]
pub fn expand<const N: usize>(tables: &mut [Blowfish; N]) {
    expand_with(tables, [[0; 2]; 2]);
}

/// Replaces the subkeys and the S-boxes by the encryptions of a block, into which the words of `salt` are mixed in turn.
#[inline(always)]
fn expand_with<const N: usize>(tables: &mut [Blowfish; N], salt: [[u32; 2]; 2]) {
    let mut halves = [[0; N]; 2];
    for at in 0..9 {
        mix_and_encrypt(tables, &mut halves, salt[at % 2]);
        for (lane, tables) in tables.iter_mut().enumerate() {
            tables.subkeys[2 * at] = halves[0][lane];
            tables.subkeys[2 * at + 1] = halves[1][lane];
        }
    }
    for number in 0..4 {
        for at in 0..128 {
            // The nine blocks of the subkeys were before.
            mix_and_encrypt(tables, &mut halves, salt[(at + 1) % 2]);
            for (lane, tables) in tables.iter_mut().enumerate() {
                tables.boxes[number][2 * at] = halves[0][lane];
                tables.boxes[number][2 * at + 1] = halves[1][lane];
            }
        }
    }
}

/// Mixes words into the block of each key and encrypts it.
#[inline(always)]
fn mix_and_encrypt<const N: usize>(tables: &[Blowfish; N], halves: &mut Halves<N>, [left, right]: [u32; 2]) {
    for (half, word) in halves.iter_mut().zip([left, right]) {
        half.iter_mut().for_each(|lane| *lane ^= word);
    }
    encrypt(tables, halves);
}

/// Encrypts the block of each key.
#[inline(always)]
fn encrypt<const N: usize>(tables: &[Blowfish; N], halves: &mut Halves<N>) {
    let [left, right] = halves;
    for round in 0..8 {
        for lane in 0..N {
            left[lane] ^= tables[lane].subkeys[2 * round];
            right[lane] ^= tables[lane].f(left[lane]);
        }
        for lane in 0..N {
            right[lane] ^= tables[lane].subkeys[2 * round + 1];
            left[lane] ^= tables[lane].f(right[lane]);
        }
    }
    for lane in 0..N {
        left[lane] ^= tables[lane].subkeys[16];
        right[lane] ^= tables[lane].subkeys[17];
    }
    std::mem::swap(left, right);
}
