//! The instructions by which this processor compresses the blocks of several lanes.

use super::compress::compress;
#[cfg(target_arch = "x86_64")]
use super::words::{Avx2, Avx512};
use super::{Blocks, LANES, States};

/// Instructions that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit(Instructions);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Those that every processor has. They are slower than the function for one block.
    Portable,
}

impl Unit {
    /// Returns the fastest instructions of this processor that compress several blocks faster than one after the other,
    /// or `None` if it has no such instructions.
    pub fn detected() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw");
            if has_avx512 {
                return Some(Unit(Instructions::Avx512));
            }
            if is_x86_feature_detected!("avx2") {
                return Some(Unit(Instructions::Avx2));
            }
        }
        None
    }

    /// Returns the instructions that every processor has, to compare with.
    pub fn portable() -> Self {
        Unit(Instructions::Portable)
    }

    /// Returns the name of the instructions.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => "AVX2",
            Instructions::Portable => "portable",
        }
    }

    /// Returns the number of lanes, at most [`LANES`].
    pub fn lanes(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => 4,
            _ => LANES,
        }
    }

    /// Compresses one block of each lane. `states` are the hash values before the blocks, and then those after them.
    #[inline]
    pub fn compress(self, states: &mut States, blocks: &Blocks) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `detected` returns this value only if the processor has the instructions, and nothing else makes it.
            Instructions::Avx512 => unsafe { by_avx512(states, blocks) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the same.
            Instructions::Avx2 => unsafe { by_avx2(states, blocks) },
            Instructions::Portable => compress::<[u64; LANES]>(states, blocks),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw")]
fn by_avx512(states: &mut States, blocks: &Blocks) {
    compress::<Avx512>(states, blocks);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn by_avx2(states: &mut States, blocks: &Blocks) {
    compress::<Avx2>(states, blocks);
}
