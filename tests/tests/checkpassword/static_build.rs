//! The static build, by the command that docs/checkpassword.md prints.

use super::site::{ANNA, PASSWORD, Site, TIMESTAMP};
use mailauth_tests::checkpassword::{call, record};
use mailauth_tests::static_program;
use std::fs;
use std::process::Command;

/// Program header of an ELF file: the path of an interpreter, which would load libraries at the program's start.
const PT_INTERP: u32 = 3;
/// Program header of the dynamic section.
const PT_DYNAMIC: u32 = 2;
/// Entry of the dynamic section: a required library.
const DT_NEEDED: u64 = 1;

/// Reads a little-endian number of a 64-bit ELF file.
fn number<const BYTES: usize>(file: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number[..BYTES].copy_from_slice(&file[at..at + BYTES]);
    u64::from_le_bytes(number)
}

/// Returns the program headers of a kind: where the segment begins in the file, and its length.
fn segments(file: &[u8], kind: u32) -> Vec<(usize, usize)> {
    let (first, size, count) = (number::<8>(file, 0x20), number::<2>(file, 0x36), number::<2>(file, 0x38));
    let headers = (0..count).map(|index| (first + index * size) as usize);
    headers
        .filter(|at| number::<4>(file, *at) == u64::from(kind))
        .map(|at| (number::<8>(file, at + 8) as usize, number::<8>(file, at + 32) as usize))
        .collect()
}

#[test]
fn the_static_build_loads_no_library_and_works() {
    let program = static_program("mailauth-pop3");
    let file = fs::read(&program).expect("the program");
    assert_eq!(&file[..5], b"\x7fELF\x02", "a 64-bit ELF file");
    assert_eq!(segments(&file, PT_INTERP), [], "an interpreter");
    for (at, length) in segments(&file, PT_DYNAMIC) {
        let needed = (at..at + length).step_by(16).filter(|entry| number::<8>(&file, *entry) == DT_NEEDED).count();
        assert_eq!(needed, 0, "libraries that are needed");
    }
    let site = Site::new();
    let log_in = |password: &str| {
        let mut command = Command::new(&program);
        command.args(["sh", "-c", "id -u; pwd"]).env("MAILAUTH_CONFIG", site.config()).current_dir("/");
        call(command, &record(ANNA, password, TIMESTAMP))
    };
    let right = log_in(PASSWORD);
    let home = site.files.join("mail/anna");
    assert_eq!((right.code, right.output), (Some(0), format!("5000\n{}\n", home.display())), "{}", right.said);
    assert_eq!(log_in("wrong").code, Some(1));
}
