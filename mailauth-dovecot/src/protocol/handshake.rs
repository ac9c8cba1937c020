//! The bytes that are sent when a client has connected.

use crate::mechanism::Mechanism;

/// Returns the greeting of a connection for logins.
pub fn for_logins(mechanisms: &[&Mechanism], spid: u32, cuid: u32, cookie: &str) -> Vec<u8> {
    let mut greeting = String::from("VERSION\t1\t2\n");
    for mechanism in mechanisms {
        greeting.push_str("MECH\t");
        greeting.push_str(mechanism.name);
        for flag in mechanism.flags {
            greeting.push('\t');
            greeting.push_str(flag);
        }
        greeting.push('\n');
    }
    greeting.push_str(&format!("SPID\t{spid}\nCUID\t{cuid}\nCOOKIE\t{cookie}\nDONE\n"));
    greeting.into_bytes()
}

/// Returns the greeting of a connection for look-ups. With a MECH or a CUID in it, clients would take the socket for one
/// for logins.
pub fn for_lookups(spid: u32) -> Vec<u8> {
    format!("VERSION\t1\t1\nSPID\t{spid}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mechanism::MECHANISMS;
    use crate::protocol::MAX_GREETING;

    #[test]
    fn the_longest_greeting_fits_into_the_buffers_of_all_clients() {
        let all: Vec<_> = MECHANISMS.iter().collect();
        assert!(for_logins(&all, u32::MAX, u32::MAX, &"f".repeat(32)).len() <= MAX_GREETING);
    }

    #[test]
    fn mechanisms_come_before_the_process_id_with_their_flags() {
        let greeting = for_logins(&[&MECHANISMS[0], &MECHANISMS[1]], 7, 9, "c00c1e");
        assert_eq!(
            String::from_utf8(greeting).unwrap(),
            "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t7\nCUID\t9\nCOOKIE\tc00c1e\nDONE\n"
        );
        assert_eq!(for_lookups(7), b"VERSION\t1\t1\nSPID\t7\n");
    }
}
