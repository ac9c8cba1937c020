//! Properties that hold for any stored value and any password.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Generates arbitrary values. Most begin like a value of some scheme, so that its parser is reached.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let beginning = prop_oneof![
        Just(String::new()),
        select(DefaultScheme::names()).prop_map(|name| format!("{{{name}}}")),
        select(DefaultScheme::names()).prop_map(|name| format!("{{{name}.hex}}")),
        select(DefaultScheme::names()).prop_map(|name| format!("{{{name}.b64}}")),
        select(SAMPLES).prop_flat_map(|(_, sample)| (0..=sample.len()).prop_map(|end| sample[..end].to_string())),
    ];
    let end = prop_oneof![
        vec(any::<u8>(), 0..80),
        "[./0-9A-Za-z$,=+-]{0,120}".prop_map(String::into_bytes),
        "[0-9a-f]{0,140}".prop_map(String::into_bytes),
    ];
    (beginning, end).prop_map(|(beginning, end)| [beginning.as_bytes(), &end].concat())
}

fn rules() -> impl Strategy<Value = HashRules> {
    (select(DefaultScheme::names()), any::<bool>()).prop_map(|(name, trim)| HashRules { trim, ..with_default(&name) })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_panics_or_matches_an_arbitrary_password(
        stored in value(), rules in rules(), password in vec(any::<u8>(), 8..40),
    ) {
        let Ok(read) = Stored::parse(&stored, &rules) else { return Ok(()) };
        // Values that cost milliseconds are tested separately, below.
        prop_assume!(read.cost() == Cost::Cheap);
        let is_its_own_text = read.clear().is_some_and(|clear| clear == password) || read.scheme() == "PLAIN-TRUNC";
        prop_assert!(is_its_own_text || read.verify(LOGIN, &password) != Ok(true));
        prop_assert_eq!(read.dummy().verify(LOGIN, &password), Ok(false));
        prop_assert_eq!(read.dummy().kind(), read.kind());
    }

    #[test]
    fn a_clear_password_matches_only_itself(password in "[^\0]{1,60}", other in vec(any::<u8>(), 0..60)) {
        let stored = format!("{{PLAIN}}{password}");
        prop_assert!(is_match(&stored, password.as_bytes()));
        prop_assert_eq!(is_match(&stored, &other), other == password.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_hash_with_a_changed_character_no_longer_matches(
        (_, sample) in select(SAMPLES), back in 1_usize..=10, character in any::<u8>(),
    ) {
        let mut changed = sample.as_bytes().to_vec();
        let at = changed.len() - back;
        // The case of a hexadecimal digit does not matter.
        prop_assume!(!changed[at].eq_ignore_ascii_case(&character) || sample.starts_with('$'));
        prop_assume!(changed[at] != character);
        changed[at] = character;
        prop_assert!(!matches_with(&HashRules::default(), &changed, PASSWORD));
    }

    #[test]
    fn a_new_hash_matches_only_its_password(password in vec(1_u8.., 1..200), other in vec(1_u8.., 1..200)) {
        let made = hash(NewScheme::Sha256Crypt, &password).unwrap();
        prop_assert!(matches_with(&HashRules::default(), made.expose(), &password));
        prop_assert_eq!(matches_with(&HashRules::default(), made.expose(), &other), other == password);
    }
}
