//! Names of the system's users and groups, for messages.
//!
//! They are read from `/etc/passwd` and `/etc/group`: a statically linked program has no other way, and a message is
//! not worth waiting for a directory service.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

/// Maximum number of bytes of a file that are searched for a name.
const MAX_LIST: u64 = 1 << 20;

/// Returns the name of the user with this number, or the number if the file has no such user.
pub fn user(id: u32) -> String {
    name("/etc/passwd", id)
}

/// Returns the name of the group with this number, or the number if the file has no such group.
pub fn group(id: u32) -> String {
    name("/etc/group", id)
}

/// Returns the name of this process's effective user.
pub fn own() -> String {
    user(rustix::process::geteuid().as_raw())
}

fn name(list: &str, id: u32) -> String {
    let id = id.to_string();
    let Ok(file) = File::open(list) else { return id };
    let mut lines = BufReader::new(file.take(MAX_LIST)).split(b'\n').map_while(Result::ok);
    let found = lines.find_map(|line| {
        let line = String::from_utf8(line).ok()?;
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    found.unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_the_system_has_its_name_and_any_other_stays_a_number() {
        assert_eq!((user(0), group(0)), ("root".into(), "root".into()));
        assert_eq!(user(4_123_456_789), "4123456789");
        assert_eq!(name("/nonexistent", 7), "7");
    }
}
