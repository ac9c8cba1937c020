//! Passwords that are verified together have the same result as one verified alone.

use super::*;
use mailauth_lockstep::Lockstep;

/// Verifies the passwords of one family together, and returns which of them match.
fn verify_together(pairs: &[(&str, Vec<u8>)], family: Family) -> Vec<bool> {
    let mut engine = family.engine().expect("this processor has lanes for the family");
    let mut results = vec![false; pairs.len()];
    let mut waiting = pairs.iter().enumerate();
    let mut loaded = vec![None; engine.lanes()];
    loop {
        for (lane, place) in loaded.iter_mut().enumerate().filter(|(_, place)| place.is_none()) {
            let Some((number, (stored, password))) = waiting.next() else { break };
            engine.load(lane, parse(stored).unwrap().task(password).expect("it has to be hashed"));
            *place = Some(number);
        }
        let finished = engine.run();
        if finished.is_empty() {
            return results;
        }
        for lane in finished {
            let number = loaded[lane.lane].take().expect("only loaded lanes end");
            let (stored, password) = &pairs[number];
            results[number] = parse(stored).unwrap().is_digest(password, &lane.digest);
        }
    }
}

#[test]
fn bcrypt_in_all_its_forms_is_the_same_together_as_alone() {
    let stored = [
        "$2b$04$abcdefghijklmnopqrstuunEN/oeXqvFCXeJgCmRYp/2wBsuyfrnW",
        "{BLF-CRYPT}$2y$04$abcdefghijklmnopqrstuunEN/oeXqvFCXeJgCmRYp/2wBsuyfrnW",
        "{CRYPT}$2a$04$abcdefghijklmnopqrstuunEN/oeXqvFCXeJgCmRYp/2wBsuyfrnW",
        "$2x$05$abcdefghijklmnopqrstuupzUgR1IEKMl8rh.KXfR.6YWto2F2D4u",
        "$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i",
        "$bcrypt-sha256$v=2,t=2b,r=4$aaKSeeUaZRtD3K70FUgKf.$LQgPkSRw0pZqPQcUwE/JuxJM1nDIBvu",
    ];
    let eight_bit = hash(NewScheme::Bcrypt, b"\xe4\xf6\xfc\xff").unwrap();
    let eight_bit = String::from_utf8(eight_bit.expose().to_vec()).unwrap();
    let marked = eight_bit.replacen("$2b$", "$2x$", 1);
    let passwords = [PASSWORD.to_vec(), vec![b'x'; 71], vec![b'x'; 72], vec![b'x'; 100], b"\xe4\xf6\xfc\xff".to_vec()];
    let mut pairs = Vec::new();
    for stored in stored.into_iter().chain([eight_bit.as_str(), marked.as_str()]) {
        pairs.extend(passwords.iter().map(|password| (stored, password.clone())));
    }
    let together = verify_together(&pairs, Family::Bcrypt);
    for ((stored, password), together) in pairs.iter().zip(&together) {
        assert_eq!(*together, is_match(stored, password), "{stored} of {password:?}");
    }
    // Five values of the usual password, two lengths of the cut one, and the one of 8 bits unless it is marked.
    assert_eq!(together.iter().filter(|matches| **matches).count(), 8);
}

#[test]
fn a_password_that_cannot_match_is_not_hashed_together() {
    let stored = parse("$2b$04$abcdefghijklmnopqrstuunEN/oeXqvFCXeJgCmRYp/2wBsuyfrnW").unwrap();
    for password in [&b""[..], b"Secret-Passw0rd\0", &[b'x'; MAX_PASSWORD + 1]] {
        assert!(stored.task(password).is_none());
        assert_eq!(stored.verify(LOGIN, password), Ok(false));
    }
}

#[test]
fn a_dummy_of_bcrypt_does_the_same_work_together_and_matches_nothing() {
    for sample in ["BLF-CRYPT", "BCRYPT-SHA256"] {
        let (_, sample) = SAMPLES.iter().find(|(scheme, _)| *scheme == sample).unwrap();
        let stored = parse(sample).unwrap();
        let dummy = stored.dummy();
        assert_eq!((dummy.family(), dummy.kind()), (stored.family(), stored.kind()));
        let mut engine = Family::Bcrypt.engine().unwrap();
        engine.load(0, dummy.task(PASSWORD).unwrap());
        engine.load(1, stored.task(PASSWORD).unwrap());
        let finished = engine.run();
        assert_eq!(finished.len(), 2, "both end with the same step");
        for lane in finished {
            assert!(!dummy.is_digest(PASSWORD, &lane.digest));
            assert!(stored.is_digest(PASSWORD, &lane.digest));
        }
    }
}
