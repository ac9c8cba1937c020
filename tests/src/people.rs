//! The accounts that most tests use.

use crate::mail_host::MailHost;
use std::fmt::Write;
use std::path::Path;

/// The password of Anna, Bruno and Carla.
pub const PASSWORD: &str = "correct horse";
/// `{SHA256}` of it: a hash that costs nothing.
pub const CHEAP_HASH: &str = "{SHA256}QQTTb42iwlQ0n4WDZ5Pr4CngyVcGOjTJHC6SAxh7VjE=";
/// SHA-512 crypt of it, with the usual 5,000 rounds.
pub const DEAR_HASH: &str =
    "$6$saltsaltsaltsalt$GkzgkzVbauGAKXpOTbypQEKy/9yJWVjcvXvDw7CxoJjnJ1.w.g1rV8bhCVTpHrRrO/h6b3DAwPN3y5qmHXZ1R1";
/// A password whose hash takes a quarter of a second.
pub const SLOW_PASSWORD: &str = "dear words";
/// That hash: bcrypt with a cost of 12.
pub const SLOW_HASH: &str = "$2b$12$SNV5JrFtIZ9RbTCpKtF3NOKGmezYOxDsYdEXWkAn73x2fghovMfzK";

/// Everything is in her row, and nothing is forbidden to her.
pub const ANNA: &str = "anna@example.org";
/// May read his mail by POP3 alone; his hash is the dear one.
pub const BRUNO: &str = "bruno@example.org";
/// Disabled.
pub const CARLA: &str = "carla@example.org";
/// Her password is stored in clear.
pub const DORA: &str = "dora@example.org";
/// And this is it.
pub const DORAS_PASSWORD: &str = "clear words";
/// Has no password.
pub const EMIL: &str = "emil@example.org";
/// Nobody.
pub const UNKNOWN: &str = "nobody@example.org";

/// Their rows, with homes below `mail`.
pub fn people(mail: &Path) -> String {
    let mail = mail.display();
    let (uid, gid) = (MailHost::OWNER.uid, MailHost::OWNER.gid);
    format!(
        "login,password,uid,gid,home,maildir,quota,services,name,options,enabled\n\
         {ANNA},{CHEAP_HASH},{uid},{gid},{mail}/anna,Maildir,\"10000000S,1000C\",,\"Anna Ärlig, Sales\",\"group=staff,wbnodsn=1\",true\n\
         {BRUNO},{DEAR_HASH},{uid},{gid},{mail}/bruno,,,pop3,,,true\n\
         {CARLA},{CHEAP_HASH},{uid},{gid},{mail}/carla,,,,,,false\n\
         {DORA},{{PLAIN}}{DORAS_PASSWORD},{uid},{gid},{mail}/dora,,,,,,true\n\
         {EMIL},,{uid},{gid},{mail}/emil,,,,,,true\n"
    )
}

/// So many more: `user0@many.example` and on, all with the cheap hash of [`PASSWORD`].
pub fn many(count: usize) -> String {
    let mut csv = String::from("login,password,home,quota\n");
    for number in 0..count {
        let _ = writeln!(csv, "user{number}@many.example,{CHEAP_HASH},/var/mail/many/{number},\"{number}S,7C\"");
    }
    csv
}
