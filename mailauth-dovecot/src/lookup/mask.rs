//! The mask of a list: `*` for any bytes, `?` for one, in any case.

/// A mask.
pub struct Mask(Vec<u8>);

impl Mask {
    /// Creates a mask.
    pub fn new(mask: &[u8]) -> Self {
        Mask(mask.to_ascii_lowercase())
    }

    /// Returns true if the whole text matches. The time is at most the product of the lengths.
    pub fn matches(&self, text: &[u8]) -> bool {
        let (mut mask, mut rest) = (self.0.as_slice(), text);
        // The mask behind the last `*`, and the text that it has not been tried on.
        let mut retry: Option<(&[u8], &[u8])> = None;
        loop {
            match (mask.split_first(), rest.split_first()) {
                (None, None) => return true,
                (Some((b'*', behind)), _) => {
                    retry = Some((behind, rest));
                    mask = behind;
                }
                (Some((wanted, behind)), Some((byte, more)))
                    if *wanted == b'?' || *wanted == byte.to_ascii_lowercase() =>
                {
                    (mask, rest) = (behind, more);
                }
                _ => match retry {
                    Some((behind, [_, shorter @ ..])) => {
                        retry = Some((behind, shorter));
                        (mask, rest) = (behind, shorter);
                    }
                    _ => return false,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks_stand_for_bytes_in_any_case() {
        let matches = |mask: &str, text: &str| Mask::new(mask.as_bytes()).matches(text.as_bytes());
        for mask in ["*", "*@example.org", "a*", "A???@*", "*a*", "**n*", "anna@example.org", "*org*"] {
            assert!(matches(mask, "anna@example.org"), "{mask}");
        }
        for mask in ["", "?", "anna", "*@example", "b*", "?????@*", "zzz*", "*x*y*z"] {
            assert!(!matches(mask, "anna@example.org"), "{mask}");
        }
        assert!(matches("", "") && matches("*", "") && !matches("?", ""));
        assert!(!matches(&"*a".repeat(100), &"a".repeat(99)), "many stars take no exponential time");
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_with_any_part_replaced_by_a_star(text in "[a-z@.]{0,20}", from in 0usize..20, to in 0usize..20) {
            let (from, to) = (from.min(to).min(text.len()), from.max(to).min(text.len()));
            let mask = format!("{}*{}", &text[..from], &text[to..]);
            prop_assert!(Mask::new(mask.as_bytes()).matches(text.as_bytes()));
        }
    }
}
