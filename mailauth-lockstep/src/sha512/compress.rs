//! The compression function of SHA-512 (FIPS 180-4, 6.4.2), of one block of each lane.
//!
//! It is written once, for words that hold one value of each lane ([`Words`]), and compiled for each set of instructions.

use super::constants::ROUNDS;
use super::words::Words;
use super::{Blocks, States};

/// The eight words of a hash value.
type State<W> = [W; 8];

/// Compresses one block of each of the lanes that `W` has.
#[inline(always)]
pub fn compress<W: Words>(states: &mut States, blocks: &Blocks) {
    let start: State<W> = std::array::from_fn(|at| W::read(&states[at]));
    let mut block: [W; 16] = std::array::from_fn(|at| W::read(&blocks[at]));
    let (begin, rest) = ROUNDS.split_at(16);
    let mut state = sixteen_rounds(start, &block, begin);
    for constants in rest.chunks_exact(16) {
        state = sixteen_further_rounds(state, &mut block, constants);
    }
    for (to, (word, before)) in states.iter_mut().zip(state.into_iter().zip(start)) {
        word.add(before).write(to);
    }
}

/// Does the first rounds, which use the words of the block.
#[inline(always)]
fn sixteen_rounds<W: Words>(mut state: State<W>, block: &[W; 16], constants: &[u64]) -> State<W> {
    for (word, constant) in block.iter().zip(constants) {
        state = round(state, word.add(W::splat(*constant)));
    }
    state
}

/// Does the next rounds. `block` is a ring of the last 16 words of the message schedule.
#[inline(always)]
fn sixteen_further_rounds<W: Words>(mut state: State<W>, block: &mut [W; 16], constants: &[u64]) -> State<W> {
    for (at, constant) in (0..16).zip(constants) {
        let (early, late) = (block[(at + 1) % 16], block[(at + 14) % 16]);
        let early = early.rotate::<1, 63>().xor(early.rotate::<8, 56>()).xor(early.shift_right::<7>());
        let late = late.rotate::<19, 45>().xor(late.rotate::<61, 3>()).xor(late.shift_right::<6>());
        block[at] = block[at].add(early).add(block[(at + 9) % 16]).add(late);
        state = round(state, block[at].add(W::splat(*constant)));
    }
    state
}

/// Does one round with the sum of the word of the schedule and the round's constant.
#[inline(always)]
fn round<W: Words>([a, b, c, d, e, f, g, h]: State<W>, word: W) -> State<W> {
    let chosen = g.xor(e.and(f.xor(g)));
    let majority = b.xor(a.xor(b).and(b.xor(c)));
    let of_e = e.rotate::<14, 50>().xor(e.rotate::<18, 46>()).xor(e.rotate::<41, 23>());
    let of_a = a.rotate::<28, 36>().xor(a.rotate::<34, 30>()).xor(a.rotate::<39, 25>());
    let first = h.add(word).add(chosen).add(of_e);
    [first.add(of_a.add(majority)), a, b, c, d.add(first), e, f, g]
}
