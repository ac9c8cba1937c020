use super::*;
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use proptest::collection::vec;
use proptest::prelude::*;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::process::{Command, Stdio};

/// bcrypt's alphabet, which is base64's in another order.
const ALPHABET: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::BCRYPT, NO_PAD);

/// Returns the key of a password, as crypt(3) makes it.
fn key(password: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([password, b"\0"].concat())
}

/// Returns what the function for one password computes.
fn alone(task: &Task) -> Vec<u8> {
    ::bcrypt::bcrypt(task.cost, task.salt, &task.key[..task.key.len().min(72)]).to_vec()
}

/// Computes all tasks in the first `used` lanes, each of which is loaded again as soon as it is finished. Also returns the
/// order in which the tasks ended.
fn together(tasks: &[Task], used: usize) -> (Vec<Vec<u8>>, Vec<usize>) {
    let mut lanes = BcryptLanes::new();
    let (mut digests, mut order) = (vec![Vec::new(); tasks.len()], Vec::new());
    let mut waiting = tasks.iter().enumerate();
    let mut free: Vec<usize> = (0..used).collect();
    let mut loaded = [None; LANES];
    loop {
        while let Some(lane) = free.pop()
            && let Some((number, task)) = waiting.next()
        {
            lanes.load(lane, task.clone());
            loaded[lane] = Some(number);
        }
        let finished = lanes.run();
        if finished.is_empty() {
            assert_eq!(loaded, [None; LANES], "every loaded lane ends");
            return (digests, order);
        }
        for Finished { lane, digest } in finished {
            let number = loaded[lane].take().expect("only loaded lanes end");
            digests[number] = digest.to_vec();
            order.push(number);
            free.push(lane);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn digests_are_those_of_the_function_for_one_password(
        cases in vec((4_u32..=8, any::<[u8; 16]>(), vec(any::<u8>(), 0..=100)), 1..12), used in 1..=LANES,
    ) {
        let tasks: Vec<Task> =
            cases.into_iter().map(|(cost, salt, password)| Task { cost, salt, key: key(&password) }).collect();
        let (digests, order) = together(&tasks, used);
        prop_assert_eq!(digests, tasks.iter().map(alone).collect::<Vec<_>>());
        prop_assert_eq!(order.len(), tasks.len());
    }
}

#[test]
fn costly_passwords_do_not_delay_cheap_ones() {
    let tasks: Vec<Task> = [9, 4, 5, 4, 4, 5, 4, 4, 4, 4]
        .iter()
        .enumerate()
        .map(|(number, cost)| Task { cost: *cost, salt: [number as u8; 16], key: key(b"secret") })
        .collect();
    let (digests, order) = together(&tasks, LANES);
    assert_eq!(digests, tasks.iter().map(alone).collect::<Vec<_>>());
    assert_eq!(order.last(), Some(&0), "the others are finished in refilled lanes before: {order:?}");
}

/// Returns crypt(3)'s results for passwords in hexadecimal and settings.
fn crypt(cases: &[(String, String)]) -> Vec<String> {
    const SCRIPT: &str =
        r#"while (<>) { chomp; my ($p, $s) = split / /, $_, 2; print crypt(pack("H*", $p), $s) // "*", "\n" }"#;
    let mut perl = Command::new("perl")
        .args(["-e", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs perl: apt-get install perl");
    let lines: String = cases.iter().map(|(password, setting)| format!("{password} {setting}\n")).collect();
    let mut stdin = perl.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = perl.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "perl failed");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The same hashes as libxcrypt's, for passwords of every length up to 100 with bytes from 1 to 255, in all variants that
/// are the same function. `$2x$` is for passwords of 7 bits.
#[cfg(target_os = "linux")]
#[test]
fn digests_are_those_of_crypt_in_mixed_batches() {
    let mut tasks = Vec::new();
    let mut cases = Vec::new();
    for length in 0..=100_usize {
        let variant = ["2a", "2b", "2y", "2x"][length % 4];
        let bits = if variant == "2x" { 127 } else { 255 };
        let password: Vec<u8> = (0..length).map(|at| 1 + ((at * 89 + length * 31) % bits) as u8).collect();
        let cost = 4 + (length % 5) as u32;
        let salt: [u8; 16] = std::array::from_fn(|at| (at * 77 + length * 13) as u8);
        let hex = password.iter().map(|byte| format!("{byte:02x}")).collect();
        cases.push((hex, format!("${variant}${cost:02}${}", ALPHABET.encode(salt))));
        tasks.push(Task { cost, salt, key: key(&password) });
    }
    let (digests, _) = together(&tasks, LANES);
    let made = crypt(&cases);
    assert_eq!(made.len(), cases.len());
    for (((password, setting), digest), made) in cases.iter().zip(digests).zip(made) {
        assert_eq!(format!("{setting}{}", ALPHABET.encode(&digest[..23])), made, "of {password}");
    }
}

#[test]
fn a_lane_can_be_loaded_again_before_it_is_finished() {
    let tasks = [1, 2, 3].map(|byte| Task { cost: 5, salt: [byte; 16], key: key(&[byte]) });
    let mut lanes = BcryptLanes::new();
    let [dropped, kept, other] = &tasks;
    for (lane, task) in [(0, dropped), (LANES - 1, other), (0, kept), (LANES, dropped)] {
        lanes.load(lane, task.clone());
    }
    let mut finished = lanes.run();
    finished.sort_by_key(|finished| finished.lane);
    let lanes_and_digests: Vec<_> = finished.iter().map(|finished| (finished.lane, finished.digest.to_vec())).collect();
    assert_eq!(lanes_and_digests, [(0, alone(kept)), (LANES - 1, alone(other))]);
    assert!(lanes.run().is_empty(), "no lane is loaded");
}

/// Returns the number of lanes that hold nothing of a password.
fn wiped(lanes: &Lanes) -> usize {
    let pairs = lanes.slots.iter().zip(&lanes.tables);
    pairs.filter(|(slot, tables)| slot.words == [[0; 18]; 2] && tables.is_wiped()).count()
}

#[test]
fn lanes_are_wiped_when_they_end_and_when_they_are_dropped() {
    let task = |cost| Task { cost, salt: [7; 16], key: key(b"secret") };
    let mut lanes = BcryptLanes::new();
    lanes.load(2, task(4));
    lanes.load(1, task(6));
    assert_eq!(wiped(&lanes.0), LANES - 2);
    assert_eq!(lanes.run().len(), 1);
    assert_eq!(wiped(&lanes.0), LANES - 1, "the other goes on");
    let mut lanes = ManuallyDrop::new(lanes);
    // SAFETY: the lanes are valid, and they are not dropped again, since their owner never is. Their fields are integers,
    // which may be read after their owner's `drop`.
    unsafe { std::ptr::drop_in_place(&mut *lanes.0) };
    assert_eq!(wiped(&lanes.0), LANES);
}

#[test]
fn a_lane_needs_as_much_memory_as_it_says() {
    let task = Task { cost: 4, salt: [7; 16], key: key(b"secret") };
    assert_eq!(task.memory() as usize * LANES + size_of::<usize>(), size_of::<Lanes>());
}

/// Returns the first `words` words of pi's fractional part: pi = 16 arctan(1/5) - 4 arctan(1/239) (Machin).
fn digits_of_pi(words: usize) -> Vec<u32> {
    // One word before the point, and two behind those that are asked for, because each division rounds.
    let length = 1 + words + 2;
    let divide = |number: &mut [u32], by: u64| {
        number.iter_mut().fold(0, |rest, word| {
            let part = rest << 32 | u64::from(*word);
            *word = (part / by) as u32;
            part % by
        });
    };
    let add = |sum: &mut [u32], number: &[u32], minus: bool| {
        let mut carry = 0;
        for (sum, word) in sum.iter_mut().zip(number).rev() {
            let total = i64::from(*sum) + if minus { -i64::from(*word) } else { i64::from(*word) } + carry;
            *sum = total as u32;
            carry = total >> 32;
        }
    };
    let mut pi = vec![0; length];
    for (factor, inverse, negative) in [(16, 5, false), (4, 239, true)] {
        let mut power = vec![0; length];
        power[0] = factor;
        divide(&mut power, inverse);
        for odd in (1..).step_by(2) {
            let mut term = power.clone();
            divide(&mut term, odd);
            if term.iter().all(|word| *word == 0) {
                break;
            }
            add(&mut pi, &term, negative != (odd % 4 == 3));
            divide(&mut power, inverse * inverse);
        }
    }
    assert_eq!(pi[0], 3);
    pi[1..=words].to_vec()
}

#[test]
fn the_tables_begin_with_the_digits_of_pi() {
    let digits = digits_of_pi(18 + 4 * 256);
    assert_eq!(digits[..18], pi::SUBKEYS);
    assert_eq!(digits[18..], pi::BOXES.concat());
}
