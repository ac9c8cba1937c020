//! The lanes compute what the functions for one password compute.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::block_api::compress512;
use std::collections::VecDeque;

/// Returns the instructions that can be tried on this processor.
fn units() -> Vec<Unit> {
    let units: Vec<Unit> = [Some(Unit::portable()), Unit::detected()].into_iter().flatten().collect();
    #[cfg(target_arch = "x86_64")]
    assert!(units.len() == 2 || !is_x86_feature_detected!("avx2"), "the detected instructions are tried");
    units
}

/// Returns the digest of the function for one password.
fn alone(task: &Task) -> Vec<u8> {
    match task {
        Task::Crypt { password, salt, rounds } => {
            let params = sha_crypt::Params::new(*rounds).unwrap();
            sha_crypt::sha512_crypt(password, salt, params).to_vec()
        }
        Task::Pbkdf2 { password, salt, iterations } => {
            let mut key = vec![0; 64];
            ::pbkdf2::pbkdf2_hmac::<sha2::Sha512>(password, salt, *iterations, &mut key);
            key
        }
    }
}

/// Computes all tasks, of which the first ones fill the lanes and each other one is loaded when a lane ends.
fn together(unit: Unit, tasks: Vec<Task>) -> Vec<Vec<u8>> {
    let mut engine = Sha512Lanes::new(unit);
    let mut digests = vec![Vec::new(); tasks.len()];
    let mut waiting: VecDeque<_> = tasks.into_iter().enumerate().collect();
    let mut held = [None; LANES];
    for lane in 0..engine.lanes() {
        refill(&mut engine, lane, &mut waiting, &mut held);
    }
    loop {
        let finished = engine.run();
        if finished.is_empty() {
            assert!(waiting.is_empty() && held.iter().all(Option::is_none));
            return digests;
        }
        for Finished { lane, digest } in finished {
            let number: usize = held[lane].take().expect("only loaded lanes are finished");
            digests[number] = digest.to_vec();
            refill(&mut engine, lane, &mut waiting, &mut held);
        }
    }
}

fn refill(
    engine: &mut Sha512Lanes,
    lane: usize,
    waiting: &mut VecDeque<(usize, Task)>,
    held: &mut [Option<usize>; LANES],
) {
    if let Some((number, task)) = waiting.pop_front() {
        engine.load(lane, task);
        held[lane] = Some(number);
    }
}

fn task() -> impl Strategy<Value = Task> {
    let password = vec(any::<u8>(), 1..=1024);
    let short = vec(any::<u8>(), 1..=40);
    let password = prop_oneof![3 => short, 1 => password];
    let rounds = prop_oneof![6 => 1000..1100_u32, 1 => 1000..5000_u32];
    let crypt = (password.clone(), vec(any::<u8>(), 0..=16), rounds).prop_map(|(password, salt, rounds)| Task::Crypt {
        password: password.into(),
        salt: salt.into(),
        rounds,
    });
    let pbkdf2 = (password, vec(any::<u8>(), 0..=40), 1..800_u32).prop_map(|(password, salt, iterations)| {
        Task::Pbkdf2 { password: password.into(), salt: salt.into(), iterations }
    });
    prop_oneof![3 => crypt, 1 => pbkdf2]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn digests_are_the_same_as_of_one_password_alone(tasks in vec(task(), 1..24)) {
        let expected: Vec<_> = tasks.iter().map(alone).collect();
        for unit in units() {
            let again = tasks.clone();
            prop_assert!(together(unit, again) == expected, "{}", unit.name());
        }
    }

    #[test]
    fn each_lane_is_compressed_like_one_block(words in vec(any::<u64>(), LANES * 24)) {
        let word = |at: usize, lane: usize| words[at * LANES + lane];
        for unit in units() {
            let mut states: States = std::array::from_fn(|at| std::array::from_fn(|lane| word(at, lane)));
            let blocks: Blocks = std::array::from_fn(|at| std::array::from_fn(|lane| word(8 + at, lane)));
            let before = states;
            unit.compress(&mut states, &blocks);
            for lane in 0..unit.lanes() {
                let mut state = before.map(|words| words[lane]);
                let block: Vec<u8> = blocks.iter().flat_map(|words| words[lane].to_be_bytes()).collect();
                compress512(&mut state, &[block.try_into().unwrap()]);
                prop_assert_eq!(states.map(|words| words[lane]), state, "{} lane {}", unit.name(), lane);
            }
        }
    }
}

fn crypt(length: usize, salt: usize, rounds: u32) -> Task {
    let bytes = |length: usize, step: usize| (0..length).map(|at| (at * step + 33) as u8).collect::<Vec<u8>>();
    Task::Crypt { password: bytes(length, 7).into(), salt: bytes(salt, 5).into(), rounds }
}

#[test]
fn lengths_around_the_ends_of_words_and_blocks_are_right() {
    let lengths = (1..=36).chain([39, 40, 41, 47, 48, 49, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 511, 512, 1024]);
    let tasks: Vec<Task> = lengths.map(|length| crypt(length, length % 17, 1000 + length as u32 % 43)).collect();
    let expected: Vec<_> = tasks.iter().map(alone).collect();
    for unit in units() {
        let again = tasks.clone();
        assert!(together(unit, again) == expected, "{}", unit.name());
    }
}

#[test]
fn a_long_task_does_not_delay_short_ones() {
    let unit = Unit::detected().unwrap_or(Unit::portable());
    let mut engine = Sha512Lanes::new(unit);
    let long = crypt(12, 16, 100_000);
    let expected = alone(&long);
    engine.load(0, long);
    let mut short = 0;
    loop {
        engine.load(1, crypt(12, 8, 1000));
        let finished = engine.run();
        short += finished.iter().filter(|finished| finished.lane == 1).count();
        if let Some(long) = finished.iter().find(|finished| finished.lane == 0) {
            assert_eq!(*long.digest, expected);
            break;
        }
    }
    assert!((98..=100).contains(&short), "{short} of 1,000 rounds beside one of 100,000");
}

#[test]
fn lanes_that_do_not_exist_and_empty_ones_give_nothing() {
    let mut engine = Sha512Lanes::new(Unit::portable());
    assert!(engine.run().is_empty());
    engine.load(LANES, crypt(8, 8, 1000));
    assert!(engine.run().is_empty());
    engine.load(2, crypt(8, 8, 1000));
    engine.load(2, crypt(9, 8, 1000));
    let finished = engine.run();
    assert_eq!(finished.len(), 1);
    assert_eq!(*finished[0].digest, alone(&crypt(9, 8, 1000)), "the last one loaded");
}

#[test]
fn the_memory_of_a_task_is_what_its_lane_uses() {
    for (length, salt) in [(1, 0), (15, 16), (16, 16), (512, 16)] {
        let task = crypt(length, salt, 1000);
        let Program::Crypt(crypt) = Program::new(&task) else { unreachable!() };
        assert!(crypt.allocated() as u64 <= task.memory(), "{length}");
        assert!(task.memory() < 16 << 10, "{length}: {}", task.memory());
    }
}
