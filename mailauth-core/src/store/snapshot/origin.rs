//! The database that a file is a copy of, and the tables in it.

use crate::config::DatabaseUrl;
use crate::schema::{ForeignModel, Tables};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Text between the name of a database and what its tables are read by, if they are another program's.
const SCHEMA: &str = ", schema ";

/// A database, and where it is reached.
///
/// It is written as lines: the kind and the name first, then each place, sorted. Two URLs mean the same database if the
/// first line is the same and they have a place in common: hosts are added, removed and reordered one after the other.
/// User, password and options do not count.
///
/// If the tables are another program's, the first line ends with the profile and a digest of all expressions that they
/// are read by. A copy that was made by other expressions may have other answers in its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin(String);

impl Origin {
    pub(super) fn of(url: &DatabaseUrl, tables: &Tables) -> Self {
        let kind = url.scheme();
        let schema = tables.foreign().map(schema).unwrap_or_default();
        let Some(server) = url.server() else {
            return Origin(format!("{kind}{schema}\n{}", url.file().unwrap_or(Path::new("")).display()));
        };
        let mut places: Vec<_> = server.hosts.iter().map(ToString::to_string).collect();
        places.extend(server.socket.iter().map(|path| path.display().to_string()));
        places.sort();
        Origin(format!("{kind} {}{schema}\n{}", server.database, places.join("\n")))
    }

    /// Returns the text that is written into the file.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Returns true if `written`, from the file of another process, is the same database.
    pub(super) fn is_same(&self, written: &str) -> bool {
        let parts = |text: &str| text.split_once('\n').map(|(name, places)| (name.to_owned(), places.to_owned()));
        let (Some((own, own_places)), Some((other, other_places))) = (parts(&self.0), parts(written)) else {
            return false;
        };
        own == other && own_places.lines().any(|place| other_places.lines().any(|other| other == place))
    }

    /// Returns true if `written` has the rows of tables that are read in the same way, from whatever database.
    pub(super) fn has_same_schema(&self, written: &str) -> bool {
        schema_in(&self.0) == schema_in(written)
    }

    /// Returns true if `written` has the rows of another program's tables.
    pub(super) fn is_foreign(written: &str) -> bool {
        !schema_in(written).is_empty()
    }
}

/// Returns what the tables of another program are read by.
fn schema(model: &ForeignModel) -> String {
    // The text of the model holds every expression.
    let digest = Sha256::digest(format!("{model:?}"));
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{SCHEMA}{} {digest}", model.profile)
}

/// Returns what the tables are read by, from the first line of a written origin; nothing for our own tables.
fn schema_in(written: &str) -> &str {
    let first = written.lines().next().unwrap_or_default();
    first.rsplit_once(SCHEMA).map_or("", |(_, schema)| schema)
}

/// Returns the database that a file names, for messages.
pub(super) fn shown(written: &str) -> String {
    let mut lines = written.lines();
    let name = lines.next().unwrap_or_default();
    format!("{name} at {}", lines.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_common_host_is_the_same_database() {
        let origin = |url: &str| Origin::of(&url.parse().unwrap(), &Tables::Own);
        let first = origin("mysql://u@db1/mail");
        for same in [
            "mysql://u@db1/mail",
            "mysql://other@db1/mail",
            "mysql://u@db1,db2/mail",
            "mysql://u@db2,db1/mail",
            "mysql://u@db1/mail?socket=/run/db.sock",
            "mariadb://u@DB1:3306/mail",
        ] {
            assert!(origin(same).is_same(first.text()) && first.is_same(origin(same).text()), "{same}");
        }
        for other in
            ["mysql://u@db2/mail", "mysql://u@db1/post", "postgres://u@db1:3306/mail", "mysql://u@db1:3307/mail"]
        {
            assert!(!origin(other).is_same(first.text()), "{other}");
        }
        assert!(!first.is_same("") && !first.is_same("mysql://u@db1:3306/mail"));
        assert_eq!(shown(origin("mysql://u@b,a/mail").text()), "mysql mail at a:3306, b:3306");
    }
}
