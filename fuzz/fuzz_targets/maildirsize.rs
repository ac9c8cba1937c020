//! A maildirsize: nothing panics, only a file that follows the strict rules is accepted, and a truncated file is not.
//!
//!     cargo +nightly fuzz run maildirsize -- -dict=fuzz/dictionaries/maildirsize

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_core::maildir::maildirsize::{Contents, TOO_LONG};
use mailauth_core::quota::Limits;

fuzz_target!(|text: &[u8]| {
    let Ok(contents) = Contents::parse(text) else { return };
    assert!(text.len() < TOO_LONG && text.ends_with(b"\n"));
    assert!(contents.usage.bytes <= Limits::MAX && contents.usage.messages <= Limits::MAX);
    let lines: Vec<&str> = std::str::from_utf8(text).expect("an accepted file is text").lines().collect();
    assert_eq!(lines.len(), contents.lines + 1);
    assert_eq!(Limits::parse(lines[0]), Ok(contents.limits));
    // The sum computed in another way, with wider numbers.
    let column = |index: usize| -> i128 {
        let number = |line: &&str| line.split_ascii_whitespace().nth(index).and_then(|word| word.parse::<i128>().ok());
        lines[1..].iter().map(|line| number(line).expect("two numbers")).sum()
    };
    assert_eq!((column(0), column(1)), (contents.usage.bytes.into(), contents.usage.messages.into()));
    assert!(Contents::parse(&text[..text.len() - 1]).is_err(), "a truncated file is accepted");
    let canonical = format!("{}\n{} {}\n", contents.limits, contents.usage.bytes, contents.usage.messages);
    let again = Contents::parse(canonical.as_bytes()).expect("a file that we write is accepted");
    assert_eq!((again.limits, again.usage), (contents.limits, contents.usage));
});
