//! A terminal on which the commands of a page are typed.

use mailauth_tests::on_a_terminal;
use mailauth_tests::people::PASSWORD;
use std::process::Command;

/// Questions of Debian's exim-gencert, with the answers that the page gives: Enter for all but the server's name.
const CERTIFICATE: [(&str, &str); 7] = [
    ("Country Code (2 letters) [US]:", "\r"),
    ("State or Province Name (full name) []:", "\r"),
    ("Locality Name (eg, city) []:", "\r"),
    ("Organization Name (eg, company; recommended) []:", "\r"),
    ("Organizational Unit Name (eg, section) []:", "\r"),
    ("Server name (eg. ssl.domain.tld; required!!!) []:", "mail.example.org\r"),
    ("Email Address []:", "\r"),
];

/// Runs a block, and answers its questions: those for a new password, and those for a certificate. `command` starts it
/// by setsid(1).
pub fn at_a_terminal(command: Command, block: &str) {
    let questions = block.lines().filter_map(|line| line.strip_prefix("mailauth account add ")).flat_map(|line| {
        let login = line.split(' ').next().unwrap_or_default();
        [format!("New password for {login}: "), "Repeat the password: ".to_owned()]
    });
    let questions: Vec<String> = questions.collect();
    let typed = format!("{PASSWORD}\r");
    let mut dialogue: Vec<_> = questions.iter().map(|question| (question.as_str(), typed.as_str())).collect();
    if block.contains("/exim-gencert\n") {
        dialogue.extend(CERTIFICATE);
    }
    let (code, shown, _) = on_a_terminal(command, &dialogue);
    assert_eq!(code, Some(0), "{block}\n{shown}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}
