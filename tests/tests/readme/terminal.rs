//! A terminal on which the commands of a page are typed.

use mailauth_tests::on_a_terminal;
use mailauth_tests::people::PASSWORD;
use std::process::Command;

/// Runs a block, and answers each question for a new password. `command` starts it by setsid(1).
pub fn at_a_terminal(command: Command, block: &str) {
    let questions = block.lines().filter_map(|line| line.strip_prefix("mailauth account add ")).flat_map(|line| {
        let login = line.split(' ').next().unwrap_or_default();
        [format!("New password for {login}: "), "The same once more: ".to_owned()]
    });
    let questions: Vec<String> = questions.collect();
    let typed = format!("{PASSWORD}\r");
    let dialogue: Vec<_> = questions.iter().map(|question| (question.as_str(), typed.as_str())).collect();
    let (code, shown, _) = on_a_terminal(command, &dialogue);
    assert_eq!(code, Some(0), "{block}\n{shown}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}
