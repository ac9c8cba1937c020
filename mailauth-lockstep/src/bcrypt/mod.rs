//! bcrypt of several passwords at once.
//!
//! Blowfish looks up each round's values in tables of its own key, at places that the round before has computed. One
//! password therefore waits for its reads most of the time. The rounds of independent passwords are written alternately
//! here, so that their reads are under way together. The tables of four passwords are 17 KiB and fit into the processor's
//! first cache. `cargo bench -p mailauth-lockstep --bench bcrypt` measures what each number of lanes gains.
//!
//! A step is one key expansion of each loaded lane. A password of cost n takes 2^(n+1) of them, alternately with the
//! password and with the salt.

mod blowfish;
mod pi;
#[cfg(test)]
mod tests;

use super::{Finished, Lockstep};
use blowfish::Blowfish;
use zeroize::{Zeroize, Zeroizing};

/// Number of lanes.
pub const LANES: usize = 4;

/// Highest cost that bcrypt knows.
const MAX_COST: u32 = 31;

/// Number of the key's bytes that count.
const MAX_KEY: usize = 72;

/// What to compute of one password. The digest has 24 bytes, of which crypt(3) writes the first 23.
#[derive(Clone)]
pub struct Task {
    /// Logarithm of the number of rounds, from 4 to 31. A higher one counts as 31.
    pub cost: u32,
    /// The salt.
    pub salt: [u8; 16],
    /// The password and the NUL that terminates it. Only the first 72 bytes count.
    pub key: Zeroizing<Vec<u8>>,
}

impl Task {
    /// Returns the number of bytes of memory that it uses in its lane.
    pub fn memory(&self) -> u64 {
        (size_of::<Slot>() + size_of::<Blowfish>()) as u64
    }
}

/// What a lane is to do, in addition to its tables.
struct Slot {
    lane: usize,
    /// Number of expansions that are still to be done.
    left: u64,
    /// What they expand: the password's words before an even number of further ones, the salt's before an odd one.
    words: [[u32; 18]; 2],
}

impl Slot {
    const EMPTY: Slot = Slot { lane: 0, left: 0, words: [[0; 18]; 2] };

    fn new(lane: usize, task: &Task) -> Self {
        let key = task.key.get(..MAX_KEY).unwrap_or(&task.key);
        Slot { lane, left: 2 << task.cost.min(MAX_COST), words: [cycled(key), cycled(&task.salt)] }
    }

    fn wipe(&mut self) {
        self.left = 0;
        self.words.zeroize();
    }
}

/// Returns the big-endian words of the bytes, repeated.
fn cycled(bytes: &[u8]) -> [u32; 18] {
    let mut bytes = bytes.iter().cycle();
    let mut byte = || bytes.next().copied().map_or(0, u32::from);
    std::array::from_fn(|_| (0..4).fold(0, |word, _| word << 8 | byte()))
}

/// The lanes.
pub struct BcryptLanes(Box<Lanes>);

/// The state of all passwords. The loaded slots are first, in any order.
struct Lanes {
    tables: [Blowfish; LANES],
    slots: [Slot; LANES],
    loaded: usize,
}

impl BcryptLanes {
    /// Returns lanes that are not loaded.
    pub fn new() -> Self {
        let (tables, slots) = ([Blowfish::WIPED; LANES], [Slot::EMPTY; LANES]);
        BcryptLanes(Box::new(Lanes { tables, slots, loaded: 0 }))
    }
}

impl Lanes {
    /// Does as many steps as the lane takes that is finished first.
    fn advance(&mut self) {
        match self.loaded {
            0 => {}
            1 => self.steps::<1>(),
            2 => self.steps::<2>(),
            3 => self.steps::<3>(),
            _ => self.steps::<LANES>(),
        }
    }

    /// Does as many steps as that of the first `N` slots takes that is finished first.
    fn steps<const N: usize>(&mut self) {
        let (Some(tables), Some(slots)) = (self.tables.first_chunk_mut::<N>(), self.slots.first_chunk_mut::<N>())
        else {
            return;
        };
        let steps = slots.iter().map(|slot| slot.left).min().unwrap_or(0);
        for _ in 0..steps {
            for (tables, Slot { left, words: [key, salt], .. }) in tables.iter_mut().zip(&mut *slots) {
                tables.mix(if *left % 2 == 0 { key } else { salt });
                *left -= 1;
            }
            blowfish::expand(tables);
        }
    }

    /// Takes the digests of the lanes that are finished.
    fn take_finished(&mut self) -> Vec<Finished> {
        let mut finished = Vec::new();
        let mut at = 0;
        while at < self.loaded
            && let (Some(tables), Some(slot)) = (self.tables.get_mut(at), self.slots.get_mut(at))
        {
            if slot.left > 0 {
                at += 1;
                continue;
            }
            finished.push(Finished { lane: slot.lane, digest: tables.digest() });
            slot.wipe();
            tables.wipe();
            self.loaded -= 1;
            self.slots.swap(at, self.loaded);
            self.tables.swap(at, self.loaded);
        }
        finished
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.slots.iter_mut().for_each(Slot::wipe);
        self.tables.iter_mut().for_each(Blowfish::wipe);
    }
}

impl Default for BcryptLanes {
    fn default() -> Self {
        BcryptLanes::new()
    }
}

impl Lockstep for BcryptLanes {
    type Task = Task;

    fn lanes(&self) -> usize {
        LANES
    }

    fn load(&mut self, lane: usize, task: Task) {
        if lane >= LANES {
            return;
        }
        let Lanes { tables, slots, loaded } = &mut *self.0;
        let at = slots.iter().take(*loaded).position(|slot| slot.lane == lane);
        let place = at.unwrap_or(*loaded);
        if let (Some(tables), Some(slot)) = (tables.get_mut(place), slots.get_mut(place)) {
            *slot = Slot::new(lane, &task);
            let [key, salt] = &slot.words;
            tables.start(salt, key);
            *loaded += usize::from(at.is_none());
        }
    }

    fn run(&mut self) -> Vec<Finished> {
        self.0.advance();
        self.0.take_finished()
    }
}
