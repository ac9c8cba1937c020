//! `[pop3]`: the checkpassword program, for POP3 daemons and other programs that use this interface.

use crate::Service;
use std::time::Duration;

/// The section `[pop3]`.
#[derive(Clone, Debug)]
pub struct Pop3Config {
    /// `service`: the service of a login if the caller does not name one.
    pub service: Service,
    /// `dovecot`: whether to use Dovecot's variant of the interface, whatever the name of the program is.
    pub dovecot: bool,
    /// `become_owner`: whether to switch to the mailbox owner's ids and home before starting the next program.
    pub become_owner: bool,
    /// `create_home`: as `[mailbox] create`, but only for this program.
    pub create_home: bool,
    /// `apop`: whether a password may be the response to an APOP timestamp.
    pub apop: bool,
    /// `cram_order`: order of the two fields that qmail-smtpd sends for CRAM-MD5.
    pub cram_order: CramOrder,
    /// `recount`: whether a login rebuilds a missing or incorrect maildirsize.
    pub recount: bool,
    /// `recount_time`: how long a login waits for that.
    pub recount_time: Duration,
}

/// Order of the second and third field of a record with the response to an SMTP AUTH CRAM-MD5 challenge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CramOrder {
    /// `"digest-challenge"`: the order in current patches to qmail-smtpd.
    #[default]
    DigestChallenge,
    /// `"challenge-digest"`: the order in the first patches.
    ChallengeDigest,
}

impl Default for Pop3Config {
    fn default() -> Self {
        Pop3Config {
            service: Service::Pop3,
            dovecot: false,
            become_owner: true,
            create_home: false,
            apop: true,
            cram_order: CramOrder::default(),
            recount: true,
            recount_time: Duration::from_secs(1),
        }
    }
}
