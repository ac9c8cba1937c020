//! The examples run, and print what their comments promise.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the folder of the built examples, which is next to that of this test program.
fn folder() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples")
}

/// Runs an example and returns the lines that it prints.
///
/// # Panics
/// Panics if the example was not built (`cargo test` without `--test` builds it) or fails.
fn lines_of(example: &str) -> Vec<String> {
    let program = folder().join(example);
    let output = Command::new(&program)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; to build it: cargo build --examples", program.display()));
    let (text, errors) = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).into();
    assert!(output.status.success(), "{example} failed: {errors}");
    text.lines().map(str::to_owned).collect()
}

/// Returns the printed lines up to the comma, after which the reason follows.
fn answers_of(example: &str) -> Vec<String> {
    lines_of(example).iter().filter_map(|line| Some(line.split_once(',')?.0.to_owned())).collect()
}

#[test]
fn authenticate_prints_one_answer_for_each_login() {
    let answers = ["anna@example.org: yes", "anna@example.org: no", "ben@example.org: no", "carl@example.org: no"];
    assert_eq!(answers_of("authenticate"), answers);
}

#[test]
fn quota_decision_prints_which_message_fits() {
    let lines = lines_of("quota_decision");
    assert_eq!(lines[..2], ["the mailbox holds 600 bytes", "a message of 300 bytes fits"]);
    assert!(lines[2].starts_with("a message of 500 bytes does not fit: "), "{lines:?}");
    assert_eq!(lines.len(), 3);
}

#[test]
fn own_store_prints_one_answer_for_each_login() {
    let answers = ["anna@example.org: yes", "ben@example.org: no", "carl@example.org: no"];
    assert_eq!(answers_of("own_store"), answers);
}
