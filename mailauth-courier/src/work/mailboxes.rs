//! Creating mailboxes that are missing, if `[mailbox] create` says so.

use super::dispatcher::Dispatcher;
use super::response::{Response, ResponseOptions};
use crate::io::connection::Connection;
use crate::live_config::LiveConfig;
use mailauth_core::account::Account;
use mailauth_core::home::{self, NotMade, Presence};
use std::time::Instant;

impl Dispatcher {
    /// Answers which account receives the mail of an address, and creates the mailbox if it is missing and is to be
    /// created. If that fails, the delivery may be able to do it.
    pub(super) fn answer_account(&self, connection: Connection, address: Vec<u8>) {
        if !connection.config.backend.authenticator.makes_mailboxes() {
            let answer = connection.config.backend.router.account(&address);
            return self.send_destination(connection, answer);
        }
        let dispatcher = self.clone();
        self.enqueue(&self.shared().queues.changes, "mailboxes to be created", connection, move |connection| {
            let answer = connection.config.backend.router.account(&address);
            if let Ok(to) = &answer
                && dispatcher.may_lack_mailbox(&to.account)
            {
                dispatcher.create_mailbox(&connection.config, connection.deadline, &to.account);
            }
            dispatcher.send_destination(connection, answer);
        });
    }

    /// Creates the mailbox before a login is answered. If that fails, the answer is "not now": no program could open
    /// the mailbox.
    pub(super) fn respond_at_first_login(
        &self,
        connection: Connection,
        account: Box<Account>,
        options: ResponseOptions,
    ) {
        let dispatcher = self.clone();
        self.enqueue(&self.shared().queues.changes, "mailboxes to be created", connection, move |connection| {
            if dispatcher.create_mailbox(&connection.config, connection.deadline, &account) {
                let answer = Ok(account);
                let response = Response::account(answer, &options, &connection.config, connection.rights);
                dispatcher.respond(connection, response);
            } else {
                connection.close();
            }
        });
    }

    /// Returns false if the Maildir exists, or existed a short while ago.
    pub(super) fn may_lack_mailbox(&self, account: &Account) -> bool {
        match home::presence(account) {
            Presence::There => false,
            Presence::Missing => true,
            Presence::Unseen => !self.shared().known_maildirs.contains(&account.maildir_path()),
        }
    }

    /// Creates the missing parts of a mailbox. Returns false if there is no mailbox then. A mailbox that this process
    /// cannot see is assumed to exist while the process that can see it is not available.
    pub(super) fn create_mailbox(&self, config: &LiveConfig, until: Instant, account: &Account) -> bool {
        let (login, maildir) = (account.login.as_str(), account.maildir_path());
        match config.backend.mailboxes.make(account, until) {
            Ok(was_missing) => {
                if was_missing {
                    tracing::info!(login, "the mailbox {} was missing and has been created", maildir.display());
                }
                self.shared().known_maildirs.insert(maildir);
                true
            }
            Err(why) => {
                if let Some(omitted) = self.shared().log_limits.mailbox_errors.admit() {
                    tracing::warn!(login, omitted, "{why}");
                }
                matches!(why, NotMade::Unasked(_)) && home::presence(account) == Presence::Unseen
            }
        }
    }
}
