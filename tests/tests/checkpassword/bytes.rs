//! Every byte that login, password and timestamp can contain arrives unchanged: through descriptor 3, over the
//! daemon's socket, and at the hash.

use super::site::{PASSWORD, Site};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailauth_tests::MailHost;
use mailauth_tests::checkpassword::{call, record};
use mailauth_tests::people::{CHEAP_HASH, DORA, DORAS_PASSWORD};
use md5::Md5;
use sha2::{Digest, Sha256};

fn code(site: &Site, login: impl AsRef<[u8]>, password: impl AsRef<[u8]>, timestamp: impl AsRef<[u8]>) -> Option<i32> {
    call(site.command("mailauth-pop3", &["true"]), &record(login, password, timestamp)).code
}

/// Adds accounts of these logins, each with the hash of its password.
fn add(site: &Site, accounts: impl Iterator<Item = (String, String)>) {
    let (owner, home) = (MailHost::OWNER, site.files.join("mail/anna"));
    let rows = accounts.map(|(login, hash)| {
        let login = login.replace('"', "\"\"");
        format!("\"{login}\",{hash},{},{},{}\n", owner.uid, owner.gid, home.display())
    });
    let csv: String = std::iter::once("login,password,uid,gid,home\n".to_owned()).chain(rows).collect();
    site.accounts.admin(&["account", "import", "-"], &csv);
}

#[test]
fn every_byte_of_a_password() {
    let site = Site::new();
    let password = |byte: u8| [b"p", &[byte][..], b"w"].concat();
    let account = |byte: u8| format!("byte{byte}@bytes.example");
    let hash = |byte| format!("{{SHA256}}{}", STANDARD.encode(Sha256::digest(password(byte))));
    add(&site, (1..=255).map(|byte| (account(byte), hash(byte))));
    for byte in 1..=255 {
        // The daemon's protocol consists of lines, so no password with a line feed is accepted, whatever the table
        // contains.
        let expected = if byte == b'\n' { 1 } else { 0 };
        assert_eq!(code(&site, account(byte), password(byte), ""), Some(expected), "{byte}");
        assert_eq!(code(&site, account(byte), password(byte ^ 0x80), ""), Some(1), "{byte}, with another bit");
    }
}

#[test]
fn every_byte_of_a_timestamp() {
    let site = Site::new();
    for byte in 1..=255 {
        let timestamp = [b"<1", &[byte][..], b"@host>"].concat();
        let digest = Md5::digest([&timestamp, DORAS_PASSWORD.as_bytes()].concat());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(code(&site, DORA, &digest, &timestamp), Some(0), "{byte}");
        let other = [b"<1", &[byte ^ 0x80][..], b"@host>"].concat();
        assert_eq!(code(&site, DORA, &digest, other), Some(1), "{byte}, with another bit");
    }
}

#[test]
fn every_byte_of_a_login() {
    let site = Site::new();
    // A login is text without control characters or spaces. Of the bytes above 127, these are all that follow C2 and
    // C3.
    let login = |character: char| format!("x{character}y@bytes.example");
    let usable = |character: &char| !character.is_control() && !character.is_whitespace();
    let characters = || (1..=255_u8).map(char::from);
    let stored = characters().filter(usable).filter(|character| !character.is_uppercase());
    add(&site, stored.map(|character| (login(character), CHEAP_HASH.to_owned())));
    for character in characters() {
        let expected = if usable(&character) { 0 } else { 1 };
        assert_eq!(code(&site, login(character), PASSWORD, ""), Some(expected), "{character:?}");
    }
    for byte in 128..=255 {
        let alone = [b"x", &[byte][..], b"y@bytes.example"].concat();
        assert_eq!(code(&site, alone, PASSWORD, ""), Some(1), "{byte} is not a text on its own");
    }
}
