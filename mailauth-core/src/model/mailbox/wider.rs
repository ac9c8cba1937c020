//! The `[mailbox]` keys that would permit rows which are not permitted now, for tables that are older than these keys.

use super::MailboxDefaults;
use super::floors::{fixed_part, segments};
use crate::account::AccountRow;

/// Collects the values of rows that are not permitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wider {
    uid: Option<u32>,
    gid: Option<u32>,
    root: Option<Vec<String>>,
}

impl Wider {
    /// Adds the values of `row` that are not permitted. Root's ids and paths with `..` are never suggested.
    pub fn add(&mut self, mailbox: &MailboxDefaults, row: &AccountRow) {
        let least = |known: Option<u32>, id: u32| Some(known.map_or(id, |known| known.min(id)));
        if let Some(uid) = row.uid.filter(|uid| *uid != 0 && mailbox.permit_uid(*uid).is_err()) {
            self.uid = least(self.uid, uid);
        }
        if let Some(gid) = row.gid.filter(|gid| *gid != 0 && mailbox.permit_gid(*gid).is_err()) {
            self.gid = least(self.gid, gid);
        }
        let home = row.home.as_deref().filter(|home| mailbox.permit_home(home).is_err());
        let maildir = row.maildir.as_deref().filter(|maildir| mailbox.permit_maildir(maildir).is_err());
        for path in [home, maildir].into_iter().flatten().filter(|path| path.starts_with('/')) {
            if segments(path).any(|name| name == "..") {
                continue;
            }
            let known = self.root.take().unwrap_or_else(|| mailbox.own_root());
            // The folder that contains the path, not the path itself.
            let above = segments(path).count().saturating_sub(1);
            let common = known.into_iter().zip(segments(path).take(above)).take_while(|(one, two)| one == two);
            self.root = Some(common.map(|(name, _)| name).collect());
        }
    }

    /// Returns the lines to write below `[mailbox]`; empty if nothing was added.
    pub fn lines(&self) -> Vec<String> {
        let id = |key, id: Option<u32>| id.map(|id| format!("{key} = {id}"));
        let root = self.root.as_ref().map(|names| format!("root = {:?}", format!("/{}", names.join("/"))));
        [id("min_uid", self.uid), id("min_gid", self.gid), root].into_iter().flatten().collect()
    }
}

impl MailboxDefaults {
    /// Returns the names in the path of the folder that contains all mailboxes which these settings place.
    fn own_root(&self) -> Vec<String> {
        let absolute = [&self.home, &self.maildir].into_iter().filter(|path| path.starts_with('/'));
        let parts = absolute.map(|path| segments(fixed_part(path)).map(str::to_owned).collect::<Vec<_>>());
        parts
            .reduce(|one, two| {
                one.into_iter().zip(two).take_while(|(one, two)| one == two).map(|(name, _)| name).collect()
            })
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Login;

    fn row() -> AccountRow {
        AccountRow::new(Login::parse(b"anna@example.org", None).unwrap())
    }

    fn lines(mailbox: &MailboxDefaults, rows: impl IntoIterator<Item = AccountRow>) -> Vec<String> {
        let mut wider = Wider::default();
        rows.into_iter().for_each(|row| wider.add(mailbox, &row));
        wider.lines()
    }

    #[test]
    fn what_would_permit_all_rows_is_told() {
        let home = |path: &str| AccountRow { home: Some(path.into()), ..row() };
        let defaults = MailboxDefaults { home: "/srv/mail/%d/%n".into(), ..MailboxDefaults::default() };
        assert_eq!(lines(&defaults, [row(), home("/srv/mail/x")]), [""; 0]);
        assert_eq!(lines(&defaults, [home("/srv/old/anna"), home("/srv/old/x/ben")]), ["root = \"/srv\""]);
        assert_eq!(lines(&defaults, [home("/home/anna")]), ["root = \"/\""]);
        assert_eq!(lines(&defaults, [home("/home/../srv/x"), home("relative")]), [""; 0]);
        let ids = [(Some(500), None), (Some(700), Some(8)), (Some(0), Some(0))];
        let rows = ids.map(|(uid, gid)| AccountRow { uid, gid, ..row() });
        assert_eq!(lines(&defaults, rows), ["min_uid = 500", "min_gid = 8"]);
    }

    #[test]
    fn the_lines_permit_what_they_are_for() {
        let refused = AccountRow { uid: Some(501), home: Some("/srv/old/anna".into()), ..row() };
        let defaults = MailboxDefaults { home: "/srv/mail/%n".into(), gid: Some(5000), ..MailboxDefaults::default() };
        assert!(defaults.resolve(refused.clone()).is_err());
        assert_eq!(lines(&defaults, [refused.clone()]), ["min_uid = 501", "root = \"/srv\""]);
        let wide = MailboxDefaults { min_uid: Some(501), root: Some("/srv".into()), ..defaults };
        assert!(wide.resolve(refused).is_ok() && wide.contradiction_of_root().is_none());
    }
}
