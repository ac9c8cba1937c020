//! The sums of a mailbox's folders, in a file of the mailbox's owner: nothing panics, a file is believed whole or not at all,
//! one that is cut off is not, and what is believed is about folders that there are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_core::quota::{Rules, believed_sums};

fuzz_target!(|text: &[u8]| {
    for count_trash in [false, true] {
        let rules = Rules { count_trash };
        let Some(known) = believed_sums(text, rules) else { continue };
        assert!(text.ends_with(b"\n") && known <= 6);
        assert_eq!(believed_sums(text, Rules { count_trash: !count_trash }), None, "by other rules");
        assert_eq!(believed_sums(&text[..text.len() - 1], rules), None, "a torn file is believed");
        assert_eq!(believed_sums(&[text, b"x\n"].concat(), rules), None, "a file that goes on is believed");
    }
});
