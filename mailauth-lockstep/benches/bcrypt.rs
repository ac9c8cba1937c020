//! bcrypt of several passwords at once, compared with one after the other: `cargo bench -p mailauth-lockstep --bench bcrypt`.
//!
//! Both take turns, so that other work on the machine concerns both. The time is that of the processor. Printed are the
//! median of the ratios of the turns, and the ratio of the least times, which other work concerns less.
//! The function for one password is that of the `bcrypt` crate.

use mailauth_lockstep::Lockstep;
use mailauth_lockstep::bcrypt::{BcryptLanes, LANES, Task};
use std::hint::black_box;

/// Cost of the passwords.
const COST: u32 = 10;

/// Number of turns.
const TURNS: usize = 15;

const KEY: &[u8] = b"Secret-Passw0rd\0";

/// Returns the seconds of a processor that this thread has used.
fn processor_seconds() -> f64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux's times of the thread");
    let nanoseconds = times.split(' ').next().and_then(|time| time.parse::<f64>().ok()).expect("a time");
    nanoseconds / 1e9
}

/// Returns the seconds of a processor that `work` takes.
fn seconds(work: impl FnOnce()) -> f64 {
    let begin = processor_seconds();
    work();
    processor_seconds() - begin
}

/// Computes one password in each of the first `used` lanes.
fn together(lanes: &mut BcryptLanes, used: usize) {
    for lane in 0..used {
        lanes.load(lane, Task { cost: COST, salt: [lane as u8; 16], key: KEY.to_vec().into() });
    }
    let mut left = used;
    while left > 0 {
        left -= black_box(lanes.run()).len();
    }
}

/// Returns the median.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let mut lanes = BcryptLanes::new();
    println!("bcrypt of cost {COST}: least milliseconds of each password, and how many times the passwords per second");
    for used in 1..=LANES {
        let (mut alone, mut each, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let one = seconds(|| {
                black_box(bcrypt::bcrypt(COST, [0; 16], black_box(KEY)));
            });
            let of_several = seconds(|| together(&mut lanes, used)) / used as f64;
            alone.push(one * 1e3);
            each.push(of_several * 1e3);
            ratios.push(one / of_several);
        }
        let least = |times: &[f64]| times.iter().copied().fold(f64::MAX, f64::min);
        let (alone, each) = (least(&alone), least(&each));
        let (quiet, usual) = (alone / each, median(ratios));
        println!(
            "{used} at once: {each:.1} instead of {alone:.1} ms; {usual:.2} times (median), {quiet:.2} (least times)"
        );
    }
}
