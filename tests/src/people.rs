//! The accounts that most tests use.

use crate::mail_host::MailHost;
use std::fmt::Write;
use std::path::Path;

/// The password of Anna, Bruno and Carla.
pub const PASSWORD: &str = "correct horse";
/// `{SHA256}` hash of it, which is cheap to check.
pub const CHEAP_HASH: &str = "{SHA256}QQTTb42iwlQ0n4WDZ5Pr4CngyVcGOjTJHC6SAxh7VjE=";
/// SHA-512 crypt hash of it, with the default of 5,000 rounds.
pub const SHA512_CRYPT_HASH: &str =
    "$6$saltsaltsaltsalt$GkzgkzVbauGAKXpOTbypQEKy/9yJWVjcvXvDw7CxoJjnJ1.w.g1rV8bhCVTpHrRrO/h6b3DAwPN3y5qmHXZ1R1";
/// A password whose hash takes a quarter of a second.
pub const SLOW_PASSWORD: &str = "dear words";
/// That hash: bcrypt with a cost of 12.
pub const SLOW_HASH: &str = "$2b$12$SNV5JrFtIZ9RbTCpKtF3NOKGmezYOxDsYdEXWkAn73x2fghovMfzK";

/// Has a value in every column, and may use everything.
pub const ANNA: &str = "anna@example.org";
/// May read mail only by POP3. The hash is SHA-512 crypt.
pub const BRUNO: &str = "bruno@example.org";
/// Is disabled.
pub const CARLA: &str = "carla@example.org";
/// Has a password stored in clear.
pub const DORA: &str = "dora@example.org";
/// Password of Dora.
pub const DORAS_PASSWORD: &str = "clear words";
/// Has no password.
pub const EMIL: &str = "emil@example.org";
/// Does not exist.
pub const UNKNOWN: &str = "nobody@example.org";

/// Returns their rows, with homes below `mail`.
pub fn people(mail: &Path) -> String {
    let mail = mail.display();
    let (uid, gid) = (MailHost::OWNER.uid, MailHost::OWNER.gid);
    format!(
        "login,password,uid,gid,home,maildir,quota,services,name,options,enabled\n\
         {ANNA},{CHEAP_HASH},{uid},{gid},{mail}/anna,Maildir,\"10000000S,1000C\",,\"Anna Ärlig, Sales\",\"group=staff,wbnodsn=1\",true\n\
         {BRUNO},{SHA512_CRYPT_HASH},{uid},{gid},{mail}/bruno,,,pop3,,,true\n\
         {CARLA},{CHEAP_HASH},{uid},{gid},{mail}/carla,,,,,,false\n\
         {DORA},{{PLAIN}}{DORAS_PASSWORD},{uid},{gid},{mail}/dora,,,,,,true\n\
         {EMIL},,{uid},{gid},{mail}/emil,,,,,,true\n"
    )
}

/// Returns `count` more rows: `user0@many.example` and so on, all with the cheap hash of [`PASSWORD`].
pub fn many(count: usize) -> String {
    let mut csv = String::from("login,password,home,quota\n");
    for number in 0..count {
        let _ = writeln!(csv, "user{number}@many.example,{CHEAP_HASH},/var/mail/many/{number},\"{number}S,7C\"");
    }
    csv
}
