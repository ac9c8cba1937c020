//! Checks of the content of the tables: rows that can never be used, stored passwords that no password can match, accounts
//! without a mailbox, and aliases whose targets do not exist.
//!
//! Accounts and aliases are read page by page, and for a limited time unless all of them are requested.

use super::findings::{Findings, State};
use mailauth_core::account::AccountRow;
use mailauth_core::alias::{check_target, read_address};
use mailauth_core::answer::{No, Refusal};
use mailauth_core::config::Config;
use mailauth_core::mailbox::Wider;
use mailauth_core::password::{Flaw, Stored};
use mailauth_core::routing::{Looking, Router};
use mailauth_core::schema::ForeignModel;
use mailauth_core::store::{AccountStore, Administration, AliasRow, MailStore, SqlStore, StoreError};
use mailauth_core::{Backend, DomainName, Login};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Maximum time for checking accounts, and again for aliases.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Number of accounts that are read at once, and of targets that are looked up at once.
const PAGE: usize = 500;

/// Maximum number of domains whose position is remembered.
const MOST_DOMAINS: usize = 10_000;

/// Number of examples of each kind.
const EXAMPLES: usize = 3;

/// What to do about a missing mailbox that only a delivery creates.
const MADE_BY_DELIVERY: &str = "the first delivery creates it, and until then IMAP logins fail with \"Temporary problem\"; \
                                'mailauth account set LOGIN --make-mailbox' creates it too, and so does [mailbox] create = \
                                true at a login";

/// What to do about a missing mailbox that a delivery or a POP3 login creates.
const MADE_BY_POP3: &str = "the first delivery or POP3 login creates it, and until then IMAP logins fail with \"Temporary \
                            problem\"; 'mailauth account set LOGIN --make-mailbox' creates it too, and so does [mailbox] \
                            create = true at any login";

/// Number of problems of one kind, and the first of them.
#[derive(Default)]
struct Tally {
    count: u64,
    examples: Vec<String>,
}

impl Tally {
    fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }

    /// Adds a finding if there are any: the number followed by `one` or `several`, the examples, and the correction.
    fn report(&self, what: &'static str, state: State, [one, several]: [&str; 2], fix: &str, findings: &mut Findings) {
        if self.count == 0 {
            return;
        }
        let kind = if self.count == 1 { one } else { several };
        let more = if self.count > EXAMPLES as u64 { ", and others" } else { "" };
        let text = format!("{} {kind}: {}{more}; {fix}", self.count, self.examples.join("; "));
        findings.add(what, state, text);
    }
}

/// Progress of reading rows of one kind.
#[derive(Default)]
struct Progress {
    read: u64,
    /// True if there were more rows when the time was over.
    cut: bool,
}

impl Progress {
    /// Counts a row. Returns false if the time is over.
    fn goes_on(&mut self, until: Option<Instant>) -> bool {
        self.cut = until.is_some_and(|until| Instant::now() >= until);
        self.read += u64::from(!self.cut);
        !self.cut
    }

    fn in_words(&self, one: &str, several: &str) -> String {
        let first = if self.cut { "the first " } else { "" };
        format!("{first}{} {}", self.read, if self.read == 1 { one } else { several })
    }
}

/// Checks accounts and aliases: as many as there is time for, or `all`.
pub(super) fn look(store: SqlStore, config: &Config, all: bool, findings: &mut Findings) {
    let store = Arc::new(store);
    let until = || (!all).then(|| Instant::now() + PATIENCE);
    let mut accounts = Accounts::new(config);
    let looked = accounts.look(&store, until());
    let mut aliases = Aliases::new(&store, config, until());
    let looked = looked.and_then(|()| aliases.look());
    if let Err(error) = looked {
        findings.add("rows", State::Degraded, format!("not all accounts and aliases could be read: {error}"));
    } else {
        let (accounts, aliases) = (&accounts.progress, &aliases.progress);
        let cut = if accounts.cut || aliases.cut { "; 'mailauth check --all' checks all of them" } else { "" };
        let (accounts, aliases) = (accounts.in_words("account", "accounts"), aliases.in_words("alias", "aliases"));
        findings.add("rows", State::Ok, format!("{accounts} and {aliases} were checked{cut}"));
    }
    accounts.report(findings);
    aliases.report(findings);
}

/// Problems of accounts. Disabled accounts are not checked.
struct Accounts<'a> {
    config: &'a Config,
    progress: Progress,
    unusable: Tally,
    /// Settings that would make some of these usable.
    wider: Wider,
    hashes: Tally,
    /// Accounts with a home that contains no Maildir.
    without_mailbox: Tally,
    /// Accounts without a home: no mail has arrived for them yet.
    not_made: Tally,
    hidden: Tally,
}

impl<'a> Accounts<'a> {
    fn new(config: &'a Config) -> Self {
        let (progress, unusable, wider, hashes, without_mailbox, not_made, hidden) = Default::default();
        Accounts { config, progress, unusable, wider, hashes, without_mailbox, not_made, hidden }
    }

    fn look(&mut self, store: &SqlStore, until: Option<Instant>) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = store.enumerate(after.as_ref(), PAGE)?;
            for row in page.rows {
                if !self.progress.goes_on(until) {
                    return Ok(());
                }
                match row {
                    Ok(row) if row.enabled && row.domain_enabled => self.judge(row),
                    Ok(_) => {}
                    Err(unusable) => self.unusable.add(|| unusable.to_string()),
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    fn judge(&mut self, row: AccountRow) {
        match Stored::parse(row.password.0.expose(), &self.config.password.rules) {
            Ok(_) | Err(Flaw::Empty | Flaw::Locked) => {}
            Err(flaw) => self.hashes.add(|| format!("{} ({flaw})", row.login)),
        }
        self.wider.add(&self.config.mailbox, &row);
        match self.config.mailbox.resolve(row) {
            Err(unusable) => self.unusable.add(|| unusable.to_string()),
            Ok(account) => {
                let mailbox = account.maildir_path();
                let example = || format!("{} ({})", account.login, mailbox.display());
                match (is_there(&mailbox.join("cur")), is_there(Path::new(&account.home))) {
                    (Some(true), _) => {}
                    (None, _) | (_, None) => self.hidden.add(example),
                    (Some(false), Some(true)) => self.without_mailbox.add(example),
                    (Some(false), Some(false)) => self.not_made.add(example),
                }
            }
        }
    }

    fn foreign(&self) -> Option<&'a ForeignModel> {
        self.config.database.tables.foreign()
    }

    fn report(&self, findings: &mut Findings) {
        let kinds = ["account can never be used", "accounts can never be used"];
        let mut fix = match self.foreign() {
            None => "correct them with 'mailauth account set' or 'mailauth account rename'".to_owned(),
            Some(model) => format!(
                "correct them {}, or the expressions in [schema.accounts]; 'mailauth schema try' shows each",
                model.place()
            ),
        };
        let wider = self.wider.lines();
        if !wider.is_empty() {
            fix += "; if their users and homes are right, set in [mailbox]: ";
            fix += &wider.join(", and ");
        }
        self.unusable.report("accounts", State::Degraded, kinds, &fix, findings);
        let kinds = ["stored password matches no password", "stored passwords match no password"];
        let fix = match self.foreign() {
            None => "set new passwords with 'mailauth account passwd'".to_owned(),
            Some(model) => format!("set new passwords {}", model.place()),
        };
        self.hashes.report("passwords", State::Degraded, kinds, &fix, findings);
        self.report_mailboxes(findings);
    }

    fn report_mailboxes(&self, findings: &mut Findings) {
        let what = "mailboxes";
        if let (Some(uid), Some(gid)) = (self.config.mailbox.uid, self.config.mailbox.gid) {
            let text = format!("belong to uid {uid} and gid {gid} if the account sets none");
            findings.add(what, State::Ok, text);
        }
        let (lacks, fix) = match (self.config.mailbox.create, self.config.pop3.create_home) {
            (true, _) => (State::Ok, "the first login or delivery creates it"),
            (false, true) => (State::Degraded, MADE_BY_POP3),
            (false, false) => (State::Degraded, MADE_BY_DELIVERY),
        };
        let kinds = ["home has no mailbox", "homes have no mailbox"];
        self.without_mailbox.report(what, lacks, kinds, fix, findings);
        let kinds = ["account has no home yet", "accounts have no home yet"];
        self.not_made.report(
            what,
            State::Ok,
            kinds,
            &format!("{fix}; if all accounts had one before, a disk may not be mounted"),
            findings,
        );
        let kinds = ["mailbox cannot be accessed by this user", "mailboxes cannot be accessed by this user"];
        self.hidden.report(what, State::Ok, kinds, "run this command as root to find missing ones", findings);
    }
}

/// Returns whether the file exists; `None` if this user may not know.
fn is_there(path: &Path) -> Option<bool> {
    match fs::metadata(path) {
        Ok(_) => Some(true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
        Err(_) => Some(false),
    }
}

/// Problems of aliases.
struct Aliases<'a> {
    store: &'a SqlStore,
    /// Another program's tables, if the accounts are in some.
    foreign: Option<&'a ForeignModel>,
    router: Arc<Router>,
    until: Option<Instant>,
    progress: Progress,
    unusable: Tally,
    lost: Tally,
    /// Domains, and whether they are ours.
    ours: HashMap<DomainName, bool>,
    /// Targets in our domains that have not been looked up yet, each with its alias.
    waiting: Vec<(String, Login)>,
}

impl<'a> Aliases<'a> {
    fn new(store: &'a Arc<SqlStore>, config: &'a Config, until: Option<Instant>) -> Self {
        let router = Backend::over(Arc::clone(store), config).router;
        let foreign = config.database.tables.foreign();
        let (progress, unusable, lost, ours) = Default::default();
        Aliases { store, foreign, router, until, progress, unusable, lost, ours, waiting: Vec::new() }
    }

    fn look(&mut self) -> Result<(), StoreError> {
        let mut failed = Ok(());
        let store = self.store;
        store.each_alias(None, &mut |alias| {
            if !self.progress.goes_on(self.until) {
                return ControlFlow::Break(());
            }
            let judged = match alias {
                Ok(alias) => self.judge(&alias),
                Err(error) => {
                    self.unusable.add(|| error.to_string());
                    Ok(())
                }
            };
            match judged {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Err(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed?;
        self.find_waiting()
    }

    fn judge(&mut self, alias: &AliasRow) -> Result<(), StoreError> {
        let AliasRow { address, targets } = alias;
        match read_address(address, None) {
            Ok(stored) if stored == *address => {}
            Ok(stored) => self.unusable.add(|| format!("no mail matches {address:?}, only {stored}")),
            Err(why) => self.unusable.add(|| format!("no mail matches {address:?}: {why}")),
        }
        for target in targets {
            // In the tables of other programs, such a target keeps the local part of the address.
            if self.foreign.is_some() && target.starts_with('@') {
                continue;
            }
            if let Err(why) = check_target(target) {
                self.unusable.add(|| format!("mail for {address} is deferred because of its target {target:?}: {why}"));
                continue;
            }
            let Ok(login) = Login::parse(target.as_bytes(), None) else { continue };
            if self.is_ours(login.domain())? {
                self.waiting.push((address.clone(), login));
                if self.waiting.len() >= PAGE {
                    self.find_waiting()?;
                }
            }
        }
        Ok(())
    }

    fn is_ours(&mut self, domain: &str) -> Result<bool, StoreError> {
        let Ok(name) = DomainName::parse(domain) else { return Ok(false) };
        if let Some(known) = self.ours.get(&name) {
            return Ok(*known);
        }
        let ours = match self.store.domain_enabled(&name) {
            Err(StoreError::UnusableDomain { .. }) => true,
            enabled => enabled?.is_some(),
        };
        if self.ours.len() >= MOST_DOMAINS {
            self.ours.clear();
        }
        self.ours.insert(name, ours);
        Ok(ours)
    }

    /// Looks up the waiting targets: most are accounts, which one query finds; the others are resolved as for mail.
    fn find_waiting(&mut self) -> Result<(), StoreError> {
        let waiting = std::mem::take(&mut self.waiting);
        let logins: Vec<_> = waiting.iter().map(|(_, login)| login).collect();
        let present = match self.foreign {
            None if !logins.is_empty() => self.store.existing(&logins)?,
            _ => Default::default(),
        };
        for (address, target) in waiting.iter().filter(|(_, login)| !present.contains(login)) {
            if self.until.is_some_and(|until| Instant::now() >= until) {
                self.progress.cut = true;
                break;
            }
            if self.leads_nowhere(target) {
                self.lost.add(|| format!("{address} -> {target}"));
            }
        }
        Ok(())
    }

    fn leads_nowhere(&self, target: &Login) -> bool {
        let now = Instant::now();
        // The size of a mailbox does not matter here.
        let mut looking = Looking { may_look: &mut |_| false, locked_until: now, counted_until: now };
        let asked = target.as_str().as_bytes();
        let answer = self.router.recipient_in_turn(asked, 0, now + PATIENCE, &mut looking);
        matches!(answer, Ok(Err(Refusal::No(No::UnknownLogin))))
    }

    fn report(&self, findings: &mut Findings) {
        let kinds = ["alias has no effect", "aliases have no effect"];
        let place = self.foreign.map(ForeignModel::place);
        let fix = match &place {
            None => "'mailauth alias remove ADDRESS TARGET' removes an invalid row as it is stored".to_owned(),
            Some(_) => "mail for such an address waits until then".to_owned(),
        };
        self.unusable.report("aliases", State::Degraded, kinds, &fix, findings);
        let kinds = ["target of an alias does not exist", "targets of aliases do not exist"];
        let fix = match &place {
            None => "correct them with 'mailauth alias', or add the missing accounts".to_owned(),
            Some(place) => format!("correct them {place}"),
        };
        self.lost.report("aliases", State::Degraded, kinds, &fix, findings);
    }
}
