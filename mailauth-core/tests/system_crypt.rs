//! The system's crypt(3) and this library agree, in both directions. Needs perl, which calls crypt(3), and libxcrypt, which
//! provides crypt(3) on current Linux distributions.

#![cfg(target_os = "linux")]

use mailauth_core::password::{HashRules, NewScheme, Stored, hash};
use std::io::Write;
use std::process::{Command, Stdio};

const LOGIN: &str = "anna@example.org";

/// One setting of each method of libxcrypt that this library reads, with salts of all lengths and low costs.
const SETTINGS: &[&str] = &[
    "ab",
    "/.",
    "_/...salt",
    "_J9..rasm",
    "$1$$",
    "$1$saltsalt$",
    "$3$",
    "$5$rounds=1000$$",
    "$5$rounds=1001$a$",
    "$6$rounds=1000$16characters-inn$",
    "$6$rounds=1000$odd,salt%{}$",
    "$sha1$10$saltsalt$",
    "$2a$04$abcdefghijklmnopqrstuu",
    "$2b$04$abcdefghijklmnopqrstuu",
    "$2y$04$abcdefghijklmnopqrstuu",
    "$y$j75$abcdefgh$",
    "$y$j65$LdJMENpBABJJ3hIHjB1Bi.$",
    "$7$5/..../....saltsalt$",
];

fn passwords() -> Vec<Vec<u8>> {
    let mut passwords: Vec<Vec<u8>> = vec![
        b"a".to_vec(),
        b"8 bytes.".to_vec(),
        b"Secret-Passw0rd".to_vec(),
        "P\u{e4}ssw\u{f6}rd-\u{65e5}\u{672c}\u{8a9e}".into(),
        b"latin-1 \xe4\xf6\xfc\xdf \xff".to_vec(),
    ];
    // Lengths around the block sizes of MD5, SHA-256 and SHA-512, and around 72 bytes, where bcrypt stops reading.
    for length in [15, 16, 17, 31, 32, 33, 63, 64, 65, 71, 72, 73, 127, 128, 129, 200] {
        passwords.push((0..length).map(|at| b'!' + (at % 90) as u8).collect());
    }
    passwords
}

/// Returns the result of crypt(3) for each password and setting.
fn crypt(cases: &[(Vec<u8>, String)]) -> Vec<String> {
    const SCRIPT: &str =
        r#"while (<>) { chomp; my ($p, $s) = split / /, $_, 2; print crypt(pack("H*", $p), $s) // "*", "\n" }"#;
    let mut perl = Command::new("perl")
        .args(["-e", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs perl: apt-get install perl");
    let lines: String = cases
        .iter()
        .map(|(password, setting)| {
            let hex: String = password.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex} {setting}\n")
        })
        .collect();
    let mut stdin = perl.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = perl.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "perl failed");
    let answers: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_string).collect();
    assert_eq!(answers.len(), cases.len());
    answers
}

#[test]
fn hashes_made_by_crypt_verify_here() {
    let cases: Vec<_> = SETTINGS
        .iter()
        .flat_map(|setting| passwords().into_iter().map(|password| (password, setting.to_string())))
        // The NT hash is of UTF-16 text, and libxcrypt takes each byte for a character.
        .filter(|(password, setting)| setting != "$3$" || password.is_ascii())
        .collect();
    for ((password, setting), made) in cases.iter().zip(crypt(&cases)) {
        assert!(made.len() > setting.len(), "crypt does not know {setting}: {made}");
        let stored =
            Stored::parse(made.as_bytes(), &HashRules::default()).unwrap_or_else(|flaw| panic!("{made}: {flaw}"));
        assert_eq!(stored.verify(LOGIN, password), Ok(true), "{made} of {password:?}");
        let mut other = password.clone();
        other[0] ^= 4;
        assert_eq!(stored.verify(LOGIN, &other), Ok(false), "{made} of {password:?}");
    }
}

#[test]
fn hashes_made_here_verify_with_crypt() {
    // crypt(3) does not support Argon2.
    let schemes = NewScheme::ALL.into_iter().filter(|scheme| *scheme != NewScheme::Argon2id);
    let mut cases = Vec::new();
    for scheme in schemes {
        for password in passwords().into_iter().skip(2).step_by(4).filter(|password| password.len() <= 72) {
            let made = hash(scheme, &password).unwrap();
            cases.push((password, String::from_utf8(made.expose().to_vec()).unwrap()));
        }
    }
    assert!(cases.len() >= 16);
    for ((password, made), again) in cases.iter().zip(crypt(&cases)) {
        assert_eq!(*made, again, "of {password:?}");
    }
}
