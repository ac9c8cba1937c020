//! Limits on the owner and the place of a mailbox.
//!
//! Root creates homes, gives them away and switches to the ids of their owners as a table says, and other users than
//! root may write to the table. Therefore an id below a minimum, or a path outside the folders of mailboxes, is
//! rejected wherever it comes from: it makes the row of a table unusable, and the answer of a daemon on a socket as
//! well.

use super::MailboxDefaults;
use crate::account::Account;
use crate::schema::Field;
use std::borrow::Cow;
use std::path::Path;

/// Minimum user and group id of a mailbox if the configuration sets none.
pub const LEAST_ID: u32 = 1000;

/// Maximum number of characters of a path that a message repeats.
const MOST_SHOWN: usize = 200;

/// A value about a mailbox that an account must not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{column} {problem}")]
pub struct Refused {
    /// The field's name in the table model: `uid`, `gid`, `home` or `maildir`.
    pub column: &'static str,
    /// What is wrong, and what to do. It continues the sentence after the name.
    pub problem: Cow<'static, str>,
}

impl MailboxDefaults {
    /// Checks the owner and the place of the mailbox of `account`, wherever the account comes from.
    ///
    /// # Errors
    /// Fails with the first value that is not permitted.
    pub fn permit(&self, account: &Account) -> Result<(), Refused> {
        let maildir = account.maildir.as_deref().unwrap_or_default();
        self.permit_uid(account.uid)?;
        self.permit_gid(account.gid)?;
        self.permit_home(&account.home)?;
        self.permit_maildir(maildir)
    }

    /// Checks the user of a mailbox, which must be the configured one or not below the minimum. User 0 needs
    /// `allow_root`.
    ///
    /// # Errors
    /// Fails if it is not permitted.
    pub fn permit_uid(&self, uid: u32) -> Result<(), Refused> {
        let kind = Kind { column: Field::Uid.name(), key: "uid", floor: "min_uid", what: "user" };
        kind.permit(uid, self.uid, self.min_uid, self.allow_root)
    }

    /// Checks the group of a mailbox in the same way.
    ///
    /// # Errors
    /// Fails if it is not permitted.
    pub fn permit_gid(&self, gid: u32) -> Result<(), Refused> {
        let kind = Kind { column: Field::Gid.name(), key: "gid", floor: "min_gid", what: "group" };
        kind.permit(gid, self.gid, self.min_gid, self.allow_root)
    }

    /// Checks a home, which must be below `root` and without `..`.
    ///
    /// # Errors
    /// Fails if it is not permitted.
    pub fn permit_home(&self, home: &str) -> Result<(), Refused> {
        if home.starts_with('/') {
            return self.permit_path(Field::Home.name(), home);
        }
        if home.is_empty() {
            return Err(refused(Field::Home.name(), "is empty, and [mailbox] home is too; set one of them"));
        }
        Err(refused(Field::Home.name(), "is not an absolute path; write one that begins with /"))
    }

    /// Checks a Maildir, absolute or relative to a home that is permitted. An empty one is left to the program.
    ///
    /// # Errors
    /// Fails if it is not permitted.
    pub fn permit_maildir(&self, maildir: &str) -> Result<(), Refused> {
        match maildir.starts_with('/') {
            true => self.permit_path(Field::Maildir.name(), maildir),
            false => permit_segments(Field::Maildir.name(), maildir),
        }
    }

    fn permit_path(&self, column: &'static str, path: &str) -> Result<(), Refused> {
        permit_segments(column, path)?;
        if self.roots().any(|root| root.holds(path)) {
            return Ok(());
        }
        let (path, root) = (shown(path), self.roots().next().map_or_else(String::new, |root| shown(root.path)));
        let below = match self.root {
            Some(_) => format!("[mailbox] root {root}"),
            None => format!("{root}, where [mailbox] home begins"),
        };
        let advice = "move it there, or set [mailbox] root to a folder that holds all mailboxes";
        Err(refused(column, format!("is {path}, which is not below {below}; {advice}")))
    }

    /// Returns the folders that mailboxes may be below.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.roots().map(|root| Path::new(root.path))
    }

    /// Returns the folders that mailboxes may be below: `root`, or the fixed parts of the templates.
    fn roots(&self) -> impl Iterator<Item = Root<'_>> {
        let of_template = |template| Root { path: fixed_part(template), is_home: !template.contains('%') };
        let own = match &self.root {
            Some(path) => Root { path, is_home: is_same(path, &self.home) },
            None => of_template(&self.home),
        };
        let maildir = Some(self.maildir.as_str()).filter(|maildir| self.root.is_none() && maildir.starts_with('/'));
        std::iter::once(own).chain(maildir.map(of_template))
    }

    /// Returns what is wrong with `root` together with the other keys: it does not contain the mailboxes that these
    /// keys place.
    pub(crate) fn contradiction_of_root(&self) -> Option<String> {
        let root = self.root.as_deref()?;
        if has_parent(root) {
            return Some("has .. in it; write the path without".to_owned());
        }
        let templates = [("home", &self.home), ("maildir", &self.maildir)];
        let (key, template) =
            templates.into_iter().find(|(_, path)| path.starts_with('/') && !begins_with(fixed_part(path), root))?;
        Some(format!(
            "does not hold [mailbox] {key} {}; write a folder that holds all mailboxes, such as {}",
            shown(template),
            shown(fixed_part(template))
        ))
    }
}

/// The kind of an id, user or group, with its names for messages.
struct Kind {
    column: &'static str,
    key: &'static str,
    floor: &'static str,
    what: &'static str,
}

impl Kind {
    fn permit(&self, id: u32, configured: Option<u32>, least: Option<u32>, allow_root: bool) -> Result<(), Refused> {
        let Kind { column, key, floor, what } = self;
        if id == 0 {
            let problem = match *what {
                "user" => "is 0; give the mailbox a user of its own, or set [mailbox] allow_root",
                _ => "is 0; give the mailbox a group of its own, or set [mailbox] allow_root",
            };
            return if allow_root { Ok(()) } else { Err(refused(column, problem)) };
        }
        if configured == Some(id) {
            return Ok(());
        }
        match (configured, least) {
            (_, Some(least)) if id >= least => Ok(()),
            (None, None) if id >= LEAST_ID => Ok(()),
            (Some(only), None) => Err(refused(
                column,
                format!(
                    "is {id}, and [mailbox] {key} {only} is the only one permitted while {floor} is not set; correct it, or \
                     set [mailbox] {floor} = {}",
                    id.min(LEAST_ID)
                ),
            )),
            (_, least) => Err(refused(
                column,
                format!(
                    "is {id}, below [mailbox] {floor} {}; give the mailbox another {what}, or set [mailbox] {key} = {id} if \
                     all have it, else {floor}",
                    least.unwrap_or(LEAST_ID)
                ),
            )),
        }
    }
}

/// A folder that mailboxes may be below.
struct Root<'a> {
    path: &'a str,
    /// Whether the folder itself is the home of all accounts.
    is_home: bool,
}

impl Root<'_> {
    fn holds(&self, path: &str) -> bool {
        if is_plainly_below(path, self.path) {
            return true;
        }
        let is_all = segments(self.path).next().is_none();
        begins_with(path, self.path) && (self.is_home || is_all || !is_same(path, self.path))
    }
}

/// Returns the folder that a template names before the first part that differs between accounts.
pub(super) fn fixed_part(template: &str) -> &str {
    if template.is_empty() {
        return "/";
    }
    let Some(end) = template.find('%') else { return template };
    let before = template.get(..end).unwrap_or_default();
    match before.rfind('/') {
        Some(0) | None => "/",
        Some(slash) => before.get(..slash).unwrap_or_default(),
    }
}

/// Returns the names in a path, without `.` and the empty names of `//`, which lead nowhere.
pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !matches!(*name, "" | "."))
}

/// Returns true if `path` continues `root`, which may end with `/`, byte for byte with a further name. This is true for
/// nearly every home, and takes a fraction of the time of a comparison name by name, which is part of every login. False
/// decides nothing: either path may contain `//` or `.`.
fn is_plainly_below(path: &str, root: &str) -> bool {
    let rest = path.strip_prefix(root.strip_suffix('/').unwrap_or(root)).map(str::as_bytes);
    matches!(rest, Some([b'/', first, ..]) if !matches!(first, b'/' | b'.'))
}

fn begins_with(path: &str, root: &str) -> bool {
    let mut names = segments(path);
    segments(root).all(|name| names.next() == Some(name))
}

fn is_same(path: &str, other: &str) -> bool {
    segments(path).eq(segments(other))
}

fn has_parent(path: &str) -> bool {
    path.as_bytes().windows(2).any(|pair| pair == b"..") && segments(path).any(|name| name == "..")
}

/// Rejects `..`: with links, it leads to places that the path does not show.
fn permit_segments(column: &'static str, path: &str) -> Result<(), Refused> {
    if has_parent(path) {
        return Err(refused(column, format!("is {}, which has .. in it; write the path without", shown(path))));
    }
    Ok(())
}

fn refused(column: &'static str, problem: impl Into<Cow<'static, str>>) -> Refused {
    Refused { column, problem: problem.into() }
}

/// Returns a path as a message shows it: on one line, and of limited length.
fn shown(path: &str) -> String {
    let mut text: String = path.chars().take(MOST_SHOWN).flat_map(char::escape_debug).collect();
    if path.chars().nth(MOST_SHOWN).is_some() {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountRow, Login};
    use proptest::prelude::*;

    fn of(home: &str) -> MailboxDefaults {
        MailboxDefaults { home: home.into(), ..MailboxDefaults::default() }
    }

    #[test]
    fn the_lowest_user_is_1000_unless_a_user_is_configured() {
        let free = MailboxDefaults::default();
        for id in [0, 1, 6, 33, 42, 999] {
            assert!(free.permit_uid(id).is_err() && free.permit_gid(id).is_err(), "{id}");
        }
        assert!(free.permit_uid(1000).is_ok() && free.permit_gid(u32::MAX - 1).is_ok());
        let vmail = MailboxDefaults { uid: Some(150), gid: Some(8), ..free.clone() };
        assert!(vmail.permit_uid(150).is_ok() && vmail.permit_gid(8).is_ok());
        for id in [0, 33, 149, 151, 1000, 5000] {
            assert!(vmail.permit_uid(id).is_err() && vmail.permit_gid(id).is_err(), "{id}");
        }
        let both = MailboxDefaults { min_uid: Some(2000), min_gid: Some(500), ..vmail };
        assert!(both.permit_uid(150).is_ok() && both.permit_uid(2000).is_ok() && both.permit_uid(1999).is_err());
        assert!(both.permit_gid(8).is_ok() && both.permit_gid(500).is_ok() && both.permit_gid(42).is_err());
    }

    #[test]
    fn root_needs_its_own_key_whatever_the_floors_are() {
        let low = MailboxDefaults { min_uid: Some(0), min_gid: Some(0), ..MailboxDefaults::default() };
        assert!(low.permit_uid(0).is_err() && low.permit_gid(0).is_err() && low.permit_uid(1).is_ok());
        let root = MailboxDefaults { allow_root: true, ..MailboxDefaults::default() };
        assert!(root.permit_uid(0).is_ok() && root.permit_gid(0).is_ok() && root.permit_gid(42).is_err());
    }

    #[test]
    fn each_refusal_names_the_key_to_set() {
        let said = |refused: Result<(), Refused>| refused.unwrap_err().to_string();
        let free = MailboxDefaults::default();
        assert_eq!(
            said(free.permit_gid(42)),
            "gid is 42, below [mailbox] min_gid 1000; give the mailbox another group, or set [mailbox] gid = 42 if all have \
             it, else min_gid"
        );
        let vmail = MailboxDefaults { uid: Some(5000), ..free.clone() };
        assert_eq!(
            said(vmail.permit_uid(2001)),
            "uid is 2001, and [mailbox] uid 5000 is the only one permitted while min_uid is not set; correct it, or set \
             [mailbox] min_uid = 1000"
        );
        assert_eq!(
            said(free.permit_home("/etc/systemd/system/ssh.service.d")),
            "home is /etc/systemd/system/ssh.service.d, which is not below /var/mail, where [mailbox] home begins; move it \
             there, or set [mailbox] root to a folder that holds all mailboxes"
        );
        let rooted = MailboxDefaults { root: Some("/srv".into()), ..free };
        assert!(
            said(rooted.permit_maildir("/tmp/a\nb"))
                .starts_with("maildir is /tmp/a\\nb, which is not below [mailbox] root /srv;")
        );
        assert!(said(rooted.permit_home(&format!("/{}", "x".repeat(4000)))).len() < 400);
    }

    #[test]
    fn without_a_default_each_account_needs_a_home_of_its_own() {
        let none = MailboxDefaults { uid: Some(5000), gid: Some(5000), ..of("") };
        let mut row = AccountRow::new(Login::parse(b"anna@x.example", None).unwrap());
        let unusable = none.resolve(row.clone()).unwrap_err();
        assert_eq!(
            (unusable.column, &*unusable.problem),
            ("home", "is empty, and [mailbox] home is too; set one of them")
        );
        row.home = Some("/home/anywhere/anna".into());
        assert_eq!(none.resolve(row.clone()).unwrap().home, "/home/anywhere/anna");
        assert_eq!(none.folders().collect::<Vec<_>>(), [Path::new("/")]);
        let rooted = MailboxDefaults { root: Some("/srv".into()), ..none };
        assert_eq!(rooted.resolve(row).unwrap_err().column, "home");
        assert_eq!(rooted.contradiction_of_root(), None);
    }

    #[test]
    fn a_home_is_below_the_fixed_part_of_its_template() {
        for (template, inside, outside) in [
            ("/var/mail/%d/%n", "/var/mail/x", "/var/mail"),
            ("/var/mail/%d/%n", "/var/mail/./x//y/", "/var/mailx/y"),
            ("/srv/mail-%d/%n", "/srv/anything", "/srvx"),
            ("/home/%u", "/home/anna", "/etc"),
            ("/%d/%n", "/anything", "relative"),
            ("/home/vmail", "/home/vmail", "/home"),
            ("/home/vmail/", "/home/vmail/x", "/home/vmailx"),
            ("/var/100%%/%n", "/var/x", "/etc"),
        ] {
            assert!(of(template).permit_home(inside).is_ok(), "{template} {inside}");
            assert!(of(template).permit_home(outside).is_err(), "{template} {outside}");
        }
    }

    #[test]
    fn no_path_climbs_and_a_slash_as_root_holds_everything() {
        let all = MailboxDefaults { root: Some("/".into()), ..MailboxDefaults::default() };
        for path in ["/", "/etc", "/home/anna", "/var/mail/..x/y"] {
            assert!(all.permit_home(path).is_ok() && all.permit_maildir(path).is_ok(), "{path}");
        }
        for path in ["/var/mail/..", "/var/mail/a/../../etc", "/..", "/var/mail/x/.."] {
            assert!(all.permit_home(path).is_err() && of("/var/mail/%n").permit_home(path).is_err(), "{path}");
        }
        for path in ["..", "../x", "a/../..", "./../x"] {
            assert!(all.permit_maildir(path).unwrap_err().problem.contains(".. in it"), "{path}");
        }
        for path in ["", ".", "Maildir", "a/b", "..x"] {
            assert!(MailboxDefaults::default().permit_maildir(path).is_ok(), "{path}");
        }
        assert!(MailboxDefaults::default().permit_maildir("/etc/cron.d").is_err());
    }

    #[test]
    fn a_maildir_of_the_configuration_may_be_elsewhere_than_the_homes() {
        let two = MailboxDefaults { maildir: "/srv/maildirs/%u".into(), ..of("/home/%n") };
        assert!(two.permit_maildir("/srv/maildirs/x").is_ok() && two.permit_home("/home/x").is_ok());
        assert!(two.permit_maildir("/srv/maildirs").is_err() && two.permit_maildir("/srv/x").is_err());
        let rooted = MailboxDefaults { root: Some("/home".into()), ..two };
        let said = rooted.contradiction_of_root().unwrap();
        assert!(said.starts_with("does not hold [mailbox] maildir /srv/maildirs/%u; "), "{said}");
    }

    proptest! {
        #[test]
        fn what_is_permitted_is_below_the_root_for_the_system_too(path in "/(var|mail|\\.|\\.\\.|a|/){1,8}") {
            let permitted = of("/var/mail/%n").permit_home(&path).is_ok();
            let lexical = std::path::Path::new(&path);
            let climbs = lexical.components().any(|part| part == std::path::Component::ParentDir);
            let below = lexical.strip_prefix("/var/mail").is_ok_and(|rest| rest.components().next().is_some());
            prop_assert_eq!(permitted, below && !climbs);
        }
    }
}
