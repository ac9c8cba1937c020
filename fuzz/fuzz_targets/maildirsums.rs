//! The sums of a mailbox's folders, in a file that the mailbox's owner can write: nothing panics, a file is accepted as a
//! whole or not at all, a truncated one is not, and an accepted one is about existing folders only.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_core::maildir::believed_sums;
use mailauth_core::quota::CountRules;

fuzz_target!(|text: &[u8]| {
    for count_trash in [false, true] {
        let rules = CountRules { count_trash };
        let Some(known) = believed_sums(text, rules) else { continue };
        assert!(text.ends_with(b"\n") && known <= 6);
        assert_eq!(believed_sums(text, CountRules { count_trash: !count_trash }), None, "accepted under other rules");
        assert_eq!(believed_sums(&text[..text.len() - 1], rules), None, "a truncated file is accepted");
        assert_eq!(believed_sums(&[text, b"x\n"].concat(), rules), None, "a file with more after its end is accepted");
    }
});
