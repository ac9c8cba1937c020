//! SHA-512 of several messages at once: sha512-crypt (`$6$`) and PBKDF2 with HMAC-SHA512, mixed in any way.
//!
//! Each lane is a sequence of blocks of 128 bytes. A step takes the next block of each loaded lane and compresses all of
//! them together.

mod compress;
mod constants;
mod crypt;
mod pbkdf2;
#[cfg(test)]
mod tests;
mod unit;
mod words;

pub use unit::Unit;

use crate::{Finished, Lockstep};
use crypt::Crypt;
use pbkdf2::Pbkdf2;
use zeroize::{Zeroize, Zeroizing};

/// Number of lanes for which there is room.
pub const LANES: usize = 8;

/// The words of the hash values of all lanes: the first index is the word's, the second the lane's.
pub type States = [[u64; LANES]; 8];

/// The words of one block of each lane, in the same order.
pub type Blocks = [[u64; LANES]; 16];

/// The hash value before the first block of a message (FIPS 180-4, 5.3.5).
const START: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// What to compute of one password. The digest has 64 bytes.
#[derive(Clone)]
pub enum Task {
    /// sha512-crypt.
    Crypt {
        /// The password.
        password: Zeroizing<Vec<u8>>,
        /// The salt, at most 16 bytes.
        salt: Zeroizing<Vec<u8>>,
        /// Number of rounds.
        rounds: u32,
    },
    /// PBKDF2 with HMAC-SHA512.
    Pbkdf2 {
        /// The password.
        password: Zeroizing<Vec<u8>>,
        /// The salt.
        salt: Zeroizing<Vec<u8>>,
        /// Number of iterations.
        iterations: u32,
    },
}

impl Task {
    /// Returns the number of bytes of memory that it uses in its lane.
    pub fn memory(&self) -> u64 {
        let bytes = match self {
            Task::Crypt { password, salt, .. } => crypt::memory(password.len(), salt.len()),
            Task::Pbkdf2 { .. } => size_of::<Pbkdf2>(),
        };
        bytes as u64
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Task::Crypt { rounds, .. } => write!(f, "Crypt({rounds} rounds)"),
            Task::Pbkdf2 { iterations, .. } => write!(f, "Pbkdf2({iterations} iterations)"),
        }
    }
}

/// What a lane does with its blocks.
enum Program {
    Crypt(Crypt),
    Pbkdf2(Pbkdf2),
}

impl Program {
    fn new(task: &Task) -> Self {
        match task {
            Task::Crypt { password, salt, rounds } => Program::Crypt(Crypt::new(password, salt, *rounds)),
            Task::Pbkdf2 { password, salt, iterations } => Program::Pbkdf2(Pbkdf2::new(password, salt, *iterations)),
        }
    }

    /// Returns the digest if there is no further block.
    fn digest(&self) -> Option<&[u64; 8]> {
        match self {
            Program::Crypt(crypt) => crypt.digest(),
            Program::Pbkdf2(pbkdf2) => pbkdf2.digest(),
        }
    }

    /// Writes the next block, and the hash value before it unless that is the one after the block before.
    #[inline(always)]
    fn put(&self, lane: usize, states: &mut States, blocks: &mut Blocks) {
        match self {
            Program::Crypt(crypt) => crypt.put(lane, states, blocks),
            Program::Pbkdf2(pbkdf2) => pbkdf2.put(lane, states, blocks),
        }
    }

    /// Goes on with the hash value after the block.
    #[inline(always)]
    fn advance(&mut self, lane: usize, states: &States) {
        match self {
            Program::Crypt(crypt) => crypt.advance(lane, states),
            Program::Pbkdf2(pbkdf2) => pbkdf2.advance(lane, states),
        }
    }
}

/// The lanes.
pub struct Sha512Lanes {
    unit: Unit,
    lanes: [Option<Program>; LANES],
    states: Zeroizing<States>,
    blocks: Zeroizing<Blocks>,
}

impl Sha512Lanes {
    /// Returns lanes that are computed by `unit`.
    pub fn new(unit: Unit) -> Self {
        Sha512Lanes {
            unit,
            lanes: [const { None }; LANES],
            states: Zeroizing::new([[0; LANES]; 8]),
            blocks: Zeroizing::new([[0; LANES]; 16]),
        }
    }

    /// Takes the digests of the lanes that are finished.
    fn take_finished(&mut self) -> Vec<Finished> {
        let mut finished = Vec::new();
        for (lane, program) in self.lanes.iter_mut().enumerate() {
            if let Some(words) = program.as_ref().and_then(Program::digest) {
                let digest = Zeroizing::new(words.iter().flat_map(|word| word.to_be_bytes()).collect());
                finished.push(Finished { lane, digest });
                *program = None;
                // The other lanes may be within a message.
                self.states.iter_mut().for_each(|words| words[lane].zeroize());
                self.blocks.iter_mut().for_each(|words| words[lane].zeroize());
            }
        }
        finished
    }

    /// Compresses one block of each loaded lane. Returns true if a lane is finished.
    fn step(&mut self) -> bool {
        for (lane, program) in self.lanes.iter().enumerate() {
            if let Some(program) = program {
                program.put(lane, &mut self.states, &mut self.blocks);
            }
        }
        self.unit.compress(&mut self.states, &self.blocks);
        let mut finished = false;
        for (lane, program) in self.lanes.iter_mut().enumerate() {
            if let Some(program) = program {
                program.advance(lane, &self.states);
                finished |= program.digest().is_some();
            }
        }
        finished
    }
}

impl Lockstep for Sha512Lanes {
    type Task = Task;

    fn lanes(&self) -> usize {
        self.unit.lanes()
    }

    fn load(&mut self, lane: usize, task: Task) {
        if let Some(place) = self.lanes.get_mut(lane).filter(|_| lane < self.unit.lanes()) {
            *place = Some(Program::new(&task));
        }
    }

    fn run(&mut self) -> Vec<Finished> {
        // A task of one iteration has no blocks left.
        let finished = self.take_finished();
        if !finished.is_empty() || self.lanes.iter().all(Option::is_none) {
            return finished;
        }
        while !self.step() {}
        self.take_finished()
    }
}
