//! `[pop3]`: the checkpassword program, for POP3 daemons and whoever else asks that way.

use crate::Service;
use std::time::Duration;

/// `[pop3]`.
#[derive(Clone, Debug)]
pub struct Pop3Config {
    /// `service`: what a login is for, where the caller does not say.
    pub service: Service,
    /// `dovecot`: answer Dovecot in its own way, whatever the program is called.
    pub dovecot: bool,
    /// `become_owner`: take the mailbox owner's ids and home before the next program runs.
    pub become_owner: bool,
    /// `create_home`: as `[mailbox] create`, for this program alone.
    pub create_home: bool,
    /// `apop`: a password may be the answer to the timestamp.
    pub apop: bool,
    /// `cram_order`: in which of two fields qmail-smtpd puts what.
    pub cram_order: CramOrder,
    /// `recount`: make maildirsize true at a login.
    pub recount: bool,
    /// `recount_time`: how long a login waits for that.
    pub recount_time: Duration,
}

/// The order of the second and third field of a record that holds the answer to a challenge of SMTP AUTH CRAM-MD5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CramOrder {
    /// `"digest-challenge"`: as today's patches to qmail-smtpd have it.
    #[default]
    DigestChallenge,
    /// `"challenge-digest"`: as the first ones had it.
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
