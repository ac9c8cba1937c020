//! Tests of reading and verifying stored values. The values were made by other programs: libxcrypt, Dovecot, passlib.

mod properties;
mod together;

use super::*;
use std::time::{Duration, Instant};

/// The password of every sample.
const PASSWORD: &[u8] = b"Secret-Passw0rd";
const LOGIN: &str = "anna@example.org";

/// A cheap value of each scheme. Its last ten characters belong to the hash.
const SAMPLES: &[(&str, &str)] = &include!("samples.rs");

const SCRAM: &str =
    "{SCRAM-SHA-1}4096,SVbBXHJ9d+pD+CeAU1GZzw==,VuE+jNdT5VxTzYo0W8FXaO1B/lw=,SEMOtTDja8PbBtJG/8FjqOL/E8U=";

fn with_default(scheme: &str) -> HashRules {
    HashRules { default_scheme: DefaultScheme::from_name(scheme).unwrap(), ..HashRules::default() }
}

fn parse(stored: &str) -> Result<Stored, Flaw> {
    Stored::parse(stored.as_bytes(), &HashRules::default())
}

fn flaw(stored: &str) -> Flaw {
    parse(stored).err().unwrap_or_else(|| panic!("{stored} was read"))
}

/// Returns true if the password matches, and false if it does not or the value cannot be verified.
fn matches_with(rules: &HashRules, stored: &[u8], password: &[u8]) -> bool {
    Stored::parse(stored, rules).and_then(|stored| stored.verify(LOGIN, password)) == Ok(true)
}

fn is_match(stored: &str, password: &[u8]) -> bool {
    matches_with(&HashRules::default(), stored.as_bytes(), password)
}

#[test]
fn each_sample_is_of_its_scheme_and_matches_only_its_password() {
    for (scheme, sample) in SAMPLES {
        assert_eq!(parse(sample).unwrap().scheme(), *scheme);
        let password = if *scheme == "DES-CRYPT" { b"Secret-P".as_slice() } else { PASSWORD };
        assert!(is_match(sample, password), "{sample}");
        assert!(!is_match(sample, b"sECRET-pASSW0RD"), "{sample}");
    }
    assert!(is_match(SCRAM, PASSWORD));
}

#[test]
fn a_locked_value_matches_no_password_not_even_itself() {
    for default in ["crypt", "plain", "sha256", "mysql41"] {
        let rules = with_default(default);
        for lock in ["*", "!", "!!", "x", "NP", "*LK*", "*NP*", "*0", "*1", "!$6$salt$hash", "!{SHA}x", "*LOCKED*$1$"] {
            assert_eq!(Stored::parse(lock.as_bytes(), &rules).err(), Some(Flaw::Locked), "{lock} by {default}");
            assert!(!matches_with(&rules, lock.as_bytes(), lock.as_bytes()));
        }
    }
    for lock in ["{CRYPT}!", "{CRYPT}*0", "{SHA512-CRYPT}!!", "{SSHA}*", "{SHA256-CRYPT}!$5$rounds=1000$$x"] {
        assert_eq!(flaw(lock), Flaw::Locked, "{lock}");
    }
}

#[test]
fn an_empty_value_matches_no_password_with_or_without_a_prefix() {
    for default in DefaultScheme::names() {
        assert_eq!(Stored::parse(b"", &with_default(&default)).err(), Some(Flaw::Empty));
    }
    for empty in ["{PLAIN}", "{CRYPT}", "{SHA}", "{SSHA512}", "{PLAIN.b64}", "{CRAM-MD5}", "{PLAIN-TRUNC}"] {
        assert_eq!(flaw(empty), Flaw::Empty, "{empty}");
        assert!(!is_match(empty, b""));
    }
}

#[test]
fn no_value_is_guessed_to_be_a_clear_password() {
    for text in ["secret", "Secret-Passw0rd", "{Secret-Passw0rd", "12 characters", "{}secret", "{NEW-SCHEME}secret"] {
        assert_eq!(flaw(text), Flaw::UnknownScheme, "{text}");
        assert!(!is_match(text, text.as_bytes()));
    }
}

#[test]
fn the_configured_default_reads_values_that_do_not_name_their_scheme() {
    let plain = with_default("plain");
    assert!(matches_with(&plain, b"Secret-Passw0rd", PASSWORD));
    assert!(
        matches_with(&plain, b"thirteenchars", b"thirteenchars"),
        "has the shape of DES-crypt, which proves little"
    );
    assert!(matches_with(&plain, b"!bang", b"!bang"));
    assert!(matches_with(&plain, b"{brace", b"{brace"));
    assert!(matches_with(&plain, b"$dollar$1", b"$dollar$1"));
    for (_, sample) in SAMPLES[1..].iter().filter(|(_, sample)| sample.starts_with(['$', '{'])) {
        assert!(
            !matches_with(&plain, sample.as_bytes(), sample.as_bytes()),
            "a hash is not a clear password: {sample}"
        );
    }
    assert!(matches_with(&with_default("plain-md5"), b"2779ce313774a47b5317a19e0e69d8ad", PASSWORD));
    assert!(matches_with(&with_default("sha256"), SAMPLES[5].1.trim_start_matches("{SHA256}").as_bytes(), PASSWORD));
    assert!(matches_with(&with_default("sha256"), SAMPLES[14].1.as_bytes(), PASSWORD), "an id takes precedence");
}

#[test]
fn names_of_default_schemes_are_read_in_upper_and_lower_case() {
    let names = DefaultScheme::names();
    assert!(names.len() > 30);
    for name in names {
        assert_eq!(DefaultScheme::from_name(&name).unwrap().name(), name);
        assert_eq!(DefaultScheme::from_name(&name.to_uppercase()), DefaultScheme::from_name(&name));
    }
    for name in ["", "md6", "crypt ", "{crypt}"] {
        assert_eq!(DefaultScheme::from_name(name), None, "{name}");
    }
}

#[test]
fn only_the_first_prefix_counts() {
    assert!(is_match("{PLAIN}{SSHA}x", b"{SSHA}x"));
    assert!(!is_match("{CRYPT}{PLAIN}secret", b"secret"));
}

#[test]
fn a_prefix_may_name_the_encoding_of_the_rest() {
    for value in [
        "{sha256.b64}jybY6JNWjtgo2dDmaohf7pfQ++u2+/x/ue/75W+RKO0=",
        "{SHA256.Base64}jybY6JNWjtgo2dDmaohf7pfQ++u2+/x/ue/75W+RKO0=",
        "{SHA256.hex}8f26d8e893568ed828d9d0e66a885fee97d0fbebb6fbfc7fb9effbe56f9128ed",
        "{SHA256.HEX}8F26D8E893568ED828D9D0E66A885FEE97D0FBEBB6FBFC7FB9EFFBE56F9128ED",
        "{SMD5.hex}31413406ab4e6054495f53314fbda640af388133",
        "{PLAIN-MD5.b64}J3nOMTd0pHtTF6GeDmnYrQ==",
        "{CRAM-MD5.b64}24zE6sFNUjO03fikWAwnBEkUMtT/P+C+4f9H8+8MhFw=",
        "{PLAIN.b64}U2VjcmV0LVBhc3N3MHJk",
        "{CLEARTEXT.hex}5365637265742d5061737377307264",
        "{MD5-CRYPT.b64}JDEkMk1rZlVZUm8kWS5Ic1ZsUWZqeWF3My94WTBVWVhCMA==",
        "{CRYPT.B64}JDEkMk1rZlVZUm8kWS5Ic1ZsUWZqeWF3My94WTBVWVhCMA==",
        "{crypt.hex}243124324d6b665559526f24592e4873566c51666a796177332f7859305559584230",
    ] {
        assert!(is_match(value, PASSWORD), "{value}");
    }
    for value in [
        "{SHA256.hex}jybY6JNWjtgo2dDmaohf7pfQ++u2+/x/ue/75W+RKO0=",
        "{SHA256.b64}8f26d8e893568ed828d9d0e66a885fee97d0fbebb6fbfc7fb9effbe56f9128ed",
        "{SHA256.rot13}jybY6JNWjtgo2dDmaohf7pfQ++u2+/x/ue/75W+RKO0=",
        "{SHA256.}jybY6JNWjtgo2dDmaohf7pfQ++u2+/x/ue/75W+RKO0=",
        "{PLAIN.b64}Secret-Passw0rd",
        "{CLEARTEXT.hex}Secret-Passw0rd",
    ] {
        assert!(parse(value).is_err(), "{value}");
    }
}

#[test]
fn a_prefix_that_contradicts_the_id_is_refused() {
    for value in [
        "{BLF-CRYPT}$5$rounds=1000$saltsalt$qms5RssuDUbQIb46UrPM8G2NUQ2mBMP8pYGuzli1iQ2",
        "{SHA512-CRYPT}$5$rounds=1000$saltsalt$qms5RssuDUbQIb46UrPM8G2NUQ2mBMP8pYGuzli1iQ2",
        "{MD5-CRYPT}$apr1$jDIbvGEb$oOCeJhCTXiC7qxKqY/31R1",
        "{ARGON2I}$argon2id$v=19$m=64,t=1,p=1$bU7tiiJ4SsUZuqeOvSyW5Q$b8Iwo3CikI7XJEtBqvNTZkyVzhVdomZ1f8miet7ps4o",
        "{ARGON2ID}x$argon2id$v=19$m=64,t=1,p=1$bU7tiiJ4SsUZuqeOvSyW5Q$b8Iwo3CikI7XJEtBqvNTZkyVzhVdomZ1f8miet7ps4o",
        "{DES-CRYPT}$1$2MkfUYRo$Y.HsVlQfjyaw3/xY0UYXB0",
    ] {
        assert!(matches!(flaw(value), Flaw::Malformed { .. }), "{value}: {}", flaw(value));
    }
}

#[test]
fn a_truncated_or_extended_hash_matches_no_password() {
    for (_, sample) in SAMPLES.iter().chain([&("SCRAM-SHA-1", SCRAM)]) {
        for end in 1..sample.len() {
            let cut = sample.get(..end).unwrap();
            assert!(!is_match(cut, PASSWORD), "{cut}");
        }
        for more in ["A", ".", "=", "$", "$x", " ", "\r"] {
            assert!(!is_match(&format!("{sample}{more}"), PASSWORD), "{sample}{more}");
        }
    }
}

#[test]
fn a_truncated_hash_is_reported_as_such() {
    for (stored, scheme, found, wanted) in [
        ("$6$saltsalt$short", "SHA512-CRYPT", 5, 86),
        ("$5$saltsalt", "SHA256-CRYPT", 0, 43),
        ("$1$2MkfUYRo$Y.HsVlQfjyaw3", "MD5-CRYPT", 13, 22),
        ("$2b$04$abcdefghijklmnopqrstuunEN/oeXq", "BLF-CRYPT", 37, 60),
        ("$y$j75$abcdefgh$80", "YESCRYPT", 2, 43),
        ("{SHA256}jybY6JNWjtgo2dDmaohf7pfQ++u2+/x/ue/75W+RKO0", "SHA256", 43, 44),
        (&SCRAM[..SCRAM.len() - 1], "SCRAM-SHA-1", 27, 28),
    ] {
        assert_eq!(flaw(stored), Flaw::Truncated { scheme, found, wanted });
    }
}

#[test]
fn only_canonical_base64_is_read() {
    assert!(!is_match("{SHA256}jybY6JNWjtgo2dDmaohf7pfQ++u2+/x/ue/75W+RKO1=", PASSWORD), "bits beyond the last byte");
    assert!(
        !is_match("$2b$04$abcdefghijklmnopqrstuvnEN/oeXqvFCXeJgCmRYp/2wBsuyfrnW", PASSWORD),
        "in the salt of bcrypt"
    );
    assert!(!is_match("{SHA256}jybY6JNWjtgo2dDmaohf7pfQ++u2\n+/x/ue/75W+RKO0=", PASSWORD));
}

#[test]
fn a_password_with_a_nul_or_empty_or_too_long_never_matches() {
    let long = [b'a'; MAX_PASSWORD + 1];
    for (_, sample) in SAMPLES {
        for password in [b"".as_slice(), b"\0", b"Secret-Passw0rd\0", b"Secret-Passw0rd\0anything", &long] {
            assert!(!is_match(sample, password), "{sample}");
        }
    }
    let whole = [b"{PLAIN}".as_slice(), &long[1..]].concat();
    assert!(matches_with(&HashRules::default(), &whole, &long[1..]));
    assert!(!matches_with(&HashRules::default(), &[b"{PLAIN}".as_slice(), &long].concat(), &long));
    assert!(!matches_with(&HashRules::default(), b"{PLAIN}nul\0nul", b"nul\0nul"));
}

#[test]
fn excessive_costs_are_refused_before_any_work() {
    let begin = Instant::now();
    let hash43 = "qms5RssuDUbQIb46UrPM8G2NUQ2mBMP8pYGuzli1iQ2";
    let pbkdf2 = "{PBKDF2}$1$salt$4294967295$7af69a71628190e4b9e982fc08811d365e21cd34";
    let argon2 = "bU7tiiJ4SsUZuqeOvSyW5Q$b8Iwo3CikI7XJEtBqvNTZkyVzhVdomZ1f8miet7ps4o";
    for stored in [
        format!("$5$rounds=999999999$saltsalt${hash43}"),
        format!("$5$rounds=2000001$saltsalt${hash43}"),
        "$2b$16$abcdefghijklmnopqrstuunEN/oeXqvFCXeJgCmRYp/2wBsuyfrnW".into(),
        "$2b$31$abcdefghijklmnopqrstuunEN/oeXqvFCXeJgCmRYp/2wBsuyfrnW".into(),
        "$bcrypt-sha256$v=2,t=2b,r=31$aaKSeeUaZRtD3K70FUgKf.$LQgPkSRw0pZqPQcUwE/JuxJM1nDIBvu".into(),
        pbkdf2.into(),
        "$sha1$4294967295$saltsalt$P9Po0.RAnbJuNzHDvp22ybrvFHXg".into(),
        SCRAM.replace("4096", "4294967295"),
        format!("$argon2id$v=19$m=262145,t=1,p=1${argon2}"),
        format!("$argon2id$v=19$m=4294967295,t=4294967295,p=1${argon2}"),
        format!("$argon2id$v=19$m=262144,t=9,p=1${argon2}"),
        format!("$argon2id$v=19$m=256,t=1,p=17${argon2}"),
        "$y$jLT$z7dhAaGj5lz3kupwdRRaK/$8OtgCWpHOyTbHVWMPmfV.l8rk7jcnOPu6PNfjZucOR1".into(),
        format!("$7$zzzzzzzzzzzsalt${hash43}"),
        "$P$Sfxr9qtDiyUS8yy9lkTAGWgb9kSd810".into(),
        "_zzzzoPB.jBeCcLWVWTY".into(),
    ] {
        assert!(matches!(flaw(&stored), Flaw::TooCostly { .. }), "{stored}: {}", flaw(&stored));
    }
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[test]
fn scrypt_is_limited_in_work_and_in_memory() {
    // N = 2^10 and r = 2^10 take 128 MiB. p = 2^10 would make a thousand passes over them.
    let hash = "vrkT.PQ4A8CK7iKqMA2SI1v3CYtdLysECMEuVXiFpt0";
    let costly = format!("$7$8.E....E....salt${hash}");
    assert!(matches!(flaw(&costly), Flaw::TooCostly { scheme: "SCRYPT", .. }), "{}", flaw(&costly));
    assert!(
        parse(&format!("$7$8.E.../.....salt${hash}")).is_ok() || parse(&format!("$7$8.E../.....salt${hash}")).is_ok()
    );
    let lenient = CostLimits { scrypt_memory_kib: u32::MAX, ..CostLimits::default() };
    let rules = HashRules { limits: lenient, ..HashRules::default() };
    for stored in [format!("$7$/zzzzzzzzzzsalt${hash}"), format!("$7$Uzzzzzzzzzzsalt${hash}")] {
        assert!(matches!(Stored::parse(stored.as_bytes(), &rules), Err(Flaw::TooCostly { .. })), "{stored}");
    }
}

#[test]
fn limits_can_be_configured() {
    let strict = CostLimits { sha_crypt_rounds: 1000, bcrypt_cost: 4, ..CostLimits::default() };
    let rules = HashRules { limits: strict, ..HashRules::default() };
    assert!(matches_with(&rules, SAMPLES[14].1.as_bytes(), PASSWORD));
    let default_rounds = SAMPLES[14].1.replace("rounds=1000$", "");
    assert!(matches!(Stored::parse(default_rounds.as_bytes(), &rules), Err(Flaw::TooCostly { .. })));
    assert!(matches!(
        Stored::parse(b"$2b$05$abcdefghijklmnopqrstuunEN/oeXqvFCXeJgCmRYp/2wBsuyfrnW", &rules),
        Err(Flaw::TooCostly { .. })
    ));
}

#[test]
fn a_value_without_iterations_is_malformed() {
    for stored in [
        "{PBKDF2}$1$salt$0$0000000000000000000000000000000000000000",
        "$pbkdf2-sha256$0$7r1XitGakxLCeA8B4HzvHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$sha1$0$saltsalt$............................",
        "{SCRAM-SHA-1}0,SVbBXHJ9d+pD+CeAU1GZzw==,VuE+jNdT5VxTzYo0W8FXaO1B/lw=,SEMOtTDja8PbBtJG/8FjqOL/E8U=",
        "_....oPB.jBeCcLWVWTY",
        "$argon2id$v=19$m=0,t=0,p=0$bU7tiiJ4SsUZuqeOvSyW5Q$b8Iwo3CikI7XJEtBqvNTZkyVzhVdomZ1f8miet7ps4o",
        "$argon2id$v=19$m=64,t=0,p=1$bU7tiiJ4SsUZuqeOvSyW5Q$b8Iwo3CikI7XJEtBqvNTZkyVzhVdomZ1f8miet7ps4o",
        "$2b$00$abcdefghijklmnopqrstuunEN/oeXqvFCXeJgCmRYp/2wBsuyfrnW",
    ] {
        assert!(matches!(flaw(stored), Flaw::Malformed { .. }), "{stored}: {}", flaw(stored));
    }
}

#[test]
fn the_limit_on_cost_includes_the_length_of_the_password() {
    let at = |rounds: u32| {
        let stored = format!("$6$rounds={rounds}$saltsalt${}", "a".repeat(86));
        Stored::parse(stored.as_bytes(), &HashRules::default()).unwrap()
    };
    let begin = std::time::Instant::now();
    let (longest, short) = ([b'x'; MAX_PASSWORD], [b'x'; 8]);
    for (rounds, password) in [(2_000_000, &longest[..]), (250_001, &longest), (1_000_001, &longest[..128])] {
        let flaw = at(rounds).verify(LOGIN, password).unwrap_err();
        assert!(flaw.to_string().contains("[password] max_sha_crypt_rounds"), "{flaw}");
        assert_eq!(at(rounds).dummy().verify(LOGIN, password), Err(flaw), "a dummy takes no longer");
    }
    let phpass = Stored::parse(b"$P$Iabcdefghabcdefghabcdefghabcde.", &HashRules::default()).unwrap();
    assert!(matches!(phpass.verify(LOGIN, &longest), Err(Flaw::TooCostly { .. })));
    assert!(begin.elapsed() < std::time::Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(at(5000).verify(LOGIN, &longest), Ok(false));
    assert_eq!(at(20_000).verify(LOGIN, &short), Ok(false));
}

#[test]
fn rounds_of_sha_crypt_are_accepted_as_crypt_writes_them() {
    for rounds in ["", "0", "999", "01000", "+1000", "-1000", " 1000", "1000 ", "0x3e8", "1000000000", "99999999999999"]
    {
        let stored = SAMPLES[14].1.replace("rounds=1000", &format!("rounds={rounds}"));
        assert!(matches!(flaw(&stored), Flaw::Malformed { .. }), "{stored}");
    }
}

#[test]
fn salts_of_sha_crypt_may_be_empty_or_unusual() {
    for stored in [
        "$5$rounds=1000$$HMp7QwOvyBLKvNWKpv3WEtfdlO.0dPMK1mYoh9aRNZ9",
        "$6$rounds=1000$a%b{c}~\"$XwbZnTg2PSxxWOIx.ZBxvWlXk0060KkR3vbsX0M9jAMGJeJQSgXvfnWrapG5kiaG8gsS3rglew3n8lI6p7ntn0",
        "$5$rounds=1000$rounds=7$/R1ueDtfV2Uf21VMmVDWuytOX8rGwwB1Q3UG6zi31n8",
        "$1$$k2E1UeQ6m0lmssu8tEOUS1",
    ] {
        assert!(is_match(stored, PASSWORD), "{stored}");
    }
}

#[test]
fn bcrypt_reads_only_72_bytes_like_crypt() {
    let of_72_x = "$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i";
    assert!(is_match(of_72_x, &[b'x'; 72]));
    assert!(is_match(of_72_x, &[b'x'; 100]));
    assert!(!is_match(of_72_x, &[b'x'; 71]));
}

#[test]
fn the_old_signed_bcrypt_matches_only_seven_bit_passwords() {
    let stored = "$2x$05$abcdefghijklmnopqrstuupzUgR1IEKMl8rh.KXfR.6YWto2F2D4u";
    assert!(is_match(stored, PASSWORD));
    let eight_bit = parse(stored).unwrap().verify(LOGIN, "Secret-Passw\u{f6}rd".as_bytes());
    assert_eq!(eight_bit, Ok(false));
}

#[test]
fn schemes_that_hash_the_login_match_only_for_that_login() {
    for sample in ["{DIGEST-MD5}42dfd017c65f7537aa6f1c5ab6ba01ce", "md5ebc3424c837bb70c08713a1c6bcfe105"] {
        let stored = parse(sample).unwrap();
        assert_eq!(stored.verify(LOGIN, PASSWORD), Ok(true));
        assert_eq!(stored.verify("bert@example.org", PASSWORD), Ok(false));
    }
}

#[test]
fn white_space_at_the_end_is_ignored_only_if_configured() {
    let trim = HashRules { trim: true, ..HashRules::default() };
    for (_, sample) in SAMPLES.iter().filter(|(scheme, _)| *scheme != "DES-CRYPT") {
        for more in [" ", "   ", "\r", "\r\n", "\t"] {
            let padded = format!("{sample}{more}");
            assert!(!is_match(&padded, PASSWORD), "{padded:?}");
            assert!(matches_with(&trim, padded.as_bytes(), PASSWORD), "{padded:?}");
        }
    }
    assert_eq!(Stored::parse(b"  \r\n", &trim).err(), Some(Flaw::Empty));
}

#[test]
fn a_dummy_costs_the_same_and_matches_no_password() {
    for (_, sample) in SAMPLES.iter().chain([&("PLAIN-TRUNC", "{PLAIN-TRUNC}8-Secret-P")]) {
        let stored = parse(sample).unwrap();
        let dummy = stored.dummy();
        assert_eq!((dummy.kind(), dummy.cost()), (stored.kind(), stored.cost()), "{sample}");
        assert!(dummy.clear().is_none(), "{sample}");
        for password in [PASSWORD, b"Secret-P", b".", sample.as_bytes()] {
            assert_eq!(dummy.verify(LOGIN, password), Ok(false), "{sample}");
        }
    }
    assert_eq!(Stored::never_matching().verify(LOGIN, PASSWORD), Ok(false));
}

#[test]
fn only_a_clear_password_can_be_read_back() {
    for (scheme, sample) in SAMPLES.iter().chain([&("PLAIN-TRUNC", "{PLAIN-TRUNC}8-Secret-P")]) {
        assert_eq!(parse(sample).unwrap().clear().is_some(), *scheme == "PLAIN", "{sample}");
    }
}

#[test]
fn flaws_and_debug_output_show_no_part_of_the_value() {
    for value in
        ["{PLAIN}hunter2hunter2", "$6$hunter2", "{SHA}hunter2", "{HUNTER2}x", "$2b$hunter2", "$argon2id$hunter2"]
    {
        let shown = match parse(value) {
            Ok(stored) => format!("{stored:?}"),
            Err(flaw) => format!("{flaw} {flaw:?}"),
        };
        assert!(!shown.to_lowercase().contains("hunter"), "{shown}");
    }
}

#[test]
fn schemes_that_are_recognized_but_not_supported_are_named() {
    for (stored, scheme) in [
        ("$gy$j75$0UzYeckDbsSSJgli4cL/X0$lqRFCse/CgNZElZMMILnJvN.WagysbJA80GTSKKs/O1", "GOST-YESCRYPT"),
        ("{CRYPT}$md5,rounds=95396$OFMU9gPg$$qZzoxPMsB6ZaWTMQaO23v.", "SUN-MD5"),
    ] {
        assert_eq!(flaw(stored), Flaw::Unsupported { scheme });
    }
}

#[test]
fn a_changed_password_keeps_a_scheme_that_is_strong_enough() {
    use NewScheme::{Argon2id, Bcrypt, Sha256Crypt, Sha512Crypt, Yescrypt};
    let stored =
        |scheme: &str| SAMPLES.iter().find(|(known, _)| *known == scheme).map(|(_, value)| parse(value).unwrap());
    for (old, configured, new) in [
        ("SHA256", Sha512Crypt, Sha512Crypt),
        ("SHA256-CRYPT", Sha512Crypt, Sha512Crypt),
        ("SHA512-CRYPT", Sha256Crypt, Sha512Crypt),
        ("BLF-CRYPT", Sha512Crypt, Bcrypt),
        ("BLF-CRYPT", Argon2id, Argon2id),
        ("YESCRYPT", Argon2id, Yescrypt),
        ("ARGON2ID", Bcrypt, Argon2id),
        ("PLAIN", Bcrypt, Bcrypt),
        ("BCRYPT-SHA256", Bcrypt, Bcrypt),
    ] {
        assert_eq!(keep_or_improve(stored(old).as_ref(), configured), new.into(), "{old}");
    }
    assert_eq!(keep_or_improve(None, Yescrypt), Yescrypt.into());
}

#[test]
fn a_changed_password_never_costs_less_than_the_old_one() {
    for costly in [
        "$6$rounds=6000$saltsalt$jkX1ykMBafQxAbraxuvx3wMNqlTYErfjTFTzOr3FUZ5ek4Q8MB0vSLATHIpmR2D9YT/CzBNdihIoB8RTl9tqj0",
        "$2b$11$abcdefghijklmnopqrstuunEN/oeXqvFCXeJgCmRYp/2wBsuyfrnW",
        "$argon2id$v=19$m=32768,t=7,p=2$bU7tiiJ4SsUZuqeOvSyW5Q$b8Iwo3CikI7XJEtBqvNTZkyVzhVdomZ1f8miet7ps4o",
        "$y$jAT$abcdefgh$gpivfojpGdb6E71txcgeup.zuDCa7BgG/.sA6EAWmT3",
    ] {
        let old = parse(costly).unwrap();
        let parameters = keep_or_improve(Some(&old), NewScheme::Sha512Crypt);
        let new = hash(parameters, PASSWORD).unwrap();
        let new = Stored::parse(new.expose(), &HashRules::default()).unwrap();
        assert_eq!((new.kind(), new.cost()), (old.kind(), parameters.cost()));
        assert_eq!(new.verify(LOGIN, PASSWORD), Ok(true));
        assert_eq!(old.cost(), new.cost());
    }
    let weaker = keep_or_improve(
        parse("$5$rounds=6000$$HMp7QwOvyBLKvNWKpv3WEtfdlO.0dPMK1mYoh9aRNZ9").ok().as_ref(),
        NewScheme::Bcrypt,
    );
    assert_eq!(weaker, NewScheme::Bcrypt.into());
}

#[test]
fn a_new_hash_is_read_as_its_scheme_and_is_different_each_time() {
    for scheme in NewScheme::ALL {
        let made = hash(scheme, PASSWORD).unwrap();
        let stored = Stored::parse(made.expose(), &HashRules::default()).unwrap();
        assert_eq!(stored.verify(LOGIN, PASSWORD), Ok(true), "{scheme:?}");
        assert_eq!(stored.verify(LOGIN, b"sECRET-pASSW0RD"), Ok(false), "{scheme:?}");
        assert_eq!(keep_or_improve(Some(&stored), NewScheme::Sha256Crypt), scheme.into());
        assert_eq!(stored.cost(), scheme.cost(), "{scheme:?}");
        assert_eq!(NewScheme::from_name(scheme.name()), Some(scheme));
        let specimen = Stored::parse(scheme.specimen().as_bytes(), &HashRules::default()).unwrap();
        assert_eq!((specimen.kind(), specimen.cost()), (stored.kind(), stored.cost()), "{}", scheme.name());
        assert!(made.expose().is_ascii() && !made.expose().starts_with(b"{") && made.len() <= 128);
    }
    let again = [0, 1].map(|_| hash(NewScheme::Sha256Crypt, PASSWORD).unwrap());
    assert_ne!(again[0].expose(), again[1].expose());
}

#[test]
fn a_password_that_could_not_be_verified_is_not_hashed() {
    for scheme in NewScheme::ALL {
        assert_eq!(hash(scheme, b"").err(), Some(HashError::Empty));
        assert_eq!(hash(scheme, b"a\0b").err(), Some(HashError::Nul));
        assert!(matches!(hash(scheme, &[b'a'; MAX_PASSWORD + 1]), Err(HashError::TooLong(..))));
    }
    assert_eq!(hash(NewScheme::Bcrypt, &[b'a'; 73]).err(), Some(HashError::TooLong(72, "bcrypt")));
    assert!(hash(NewScheme::Bcrypt, &[b'a'; 72]).is_ok());
}

#[test]
fn a_password_stored_in_clear_is_read_back_unchanged() {
    for password in [
        &b"Secret-Passw0rd"[..],
        b"{SSHA}x",
        b"$6$salt$hash",
        b" two words",
        b"white space at the end ",
        "pä\u{df}word".as_bytes(),
        b"\xff\xfe",
        &[b'a'; 512],
        &[0xff; 512],
    ] {
        let stored = in_clear(password).unwrap();
        assert!(stored.len() <= 1024 && std::str::from_utf8(stored.expose()).is_ok());
        for trim in [false, true] {
            let read = Stored::parse(stored.expose(), &HashRules { trim, ..HashRules::default() }).unwrap();
            assert_eq!(read.clear(), Some(password));
            assert_eq!(read.verify(LOGIN, password), Ok(true));
        }
    }
    for (password, why) in [(&b""[..], HashError::Empty), (b"a\0b", HashError::Nul), (b"a\nb", HashError::Control)] {
        assert_eq!(in_clear(password).err(), Some(why));
    }
    assert!(matches!(in_clear(&[b'a'; 513]), Err(HashError::TooLong(..))));
}
