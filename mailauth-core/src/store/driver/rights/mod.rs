//! The privileges of database users: what is missing, what is too wide, and the statements that correct it.

pub(in crate::store) mod denied;
#[cfg(feature = "mysql")]
pub(in crate::store::driver) mod mysql;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(in crate::store::driver) mod plan;
#[cfg(feature = "postgres")]
pub(in crate::store::driver) mod postgres;

/// The privileges that a daemon needs.
#[derive(Debug)]
pub(crate) struct Needs {
    /// All tables of this program.
    pub(crate) tables: Vec<String>,
    /// Tables that are read.
    pub(crate) reads: Vec<String>,
    /// Name of the table of accounts.
    pub(crate) accounts: String,
    /// Columns of the table of accounts that are updated when a password changes.
    pub(crate) updates: Vec<String>,
    /// Tables that record the usage of mailboxes and of domains. A user with any privilege on one of them delivers
    /// mail, and needs to read all of them and to insert into them.
    pub(crate) delivery: Vec<Delivery>,
}

/// A table that deliveries change.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Name of the table.
    pub(crate) table: String,
    /// Columns that deliveries update.
    pub(crate) updates: Vec<String>,
}

impl Needs {
    /// Privileges on whole tables that a user needs in addition to deliver mail.
    pub(crate) const DELIVERY: [&'static str; 2] = ["SELECT", "INSERT"];

    /// Returns true if a daemon may hold `right` on `table` (for `columns`, or for the whole table if empty).
    pub(crate) fn permits(&self, right: &str, columns: &[String], table: &str) -> bool {
        let only = |wanted: &[String]| !columns.is_empty() && columns.iter().all(|column| wanted.contains(column));
        match right {
            "SELECT" if self.reads.iter().any(|read| read == table) => true,
            "UPDATE" if table == self.accounts => only(&self.updates),
            right => match self.delivery(table) {
                Some(_) if Self::DELIVERY.contains(&right) => true,
                Some(delivery) if right == "UPDATE" => only(&delivery.updates),
                _ => false,
            },
        }
    }

    /// Returns what deliveries change in this table; `None` if they do not change it.
    pub(crate) fn delivery(&self, table: &str) -> Option<&Delivery> {
        self.delivery.iter().find(|delivery| delivery.table == table)
    }
}

impl Delivery {
    /// Returns the text about a missing privilege on this table.
    pub(crate) fn lacking(&self, right: &str) -> String {
        format!("{right} on {} (domain quotas cannot be enforced)", self.table)
    }
}

/// The result of comparing a user's privileges with those needed, each written as `SELECT on accounts`.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    /// Name of the user, as the server writes it.
    pub(crate) user: String,
    /// Why the user is an administrator; `None` for any other user. The privileges of an administrator are left alone,
    /// and the statements create a separate user for the daemon instead.
    pub(crate) administrator: Option<String>,
    /// Privileges that are not needed, one text for each object: `INSERT, DELETE on accounts`.
    pub(crate) too_wide: Vec<String>,
    /// Privileges that are needed and missing.
    pub(crate) missing: Vec<String>,
    /// The statements that correct this, without semicolons, to be run in this order by an administrator.
    pub(crate) statements: Vec<String>,
}
