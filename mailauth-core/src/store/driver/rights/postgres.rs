//! Compares the privileges of a PostgreSQL user with those that are needed: the roles they come from, and the
//! statements that correct them.

use crate::store::driver::postgres::connection::PostgresConnection;
use crate::store::driver::rights::plan;
use crate::store::driver::rights::plan::{HeldPrivilege, Revoke, SqlNames};
use crate::store::driver::{Cell, Connection, Delivery, DriverError, Needs, Param, Rights, Statement};

/// Result of comparing the privileges on whole tables with those that are needed.
#[derive(Default)]
struct TableRights<'n> {
    missing: Vec<String>,
    /// Pairs of a privilege and the table that it is on.
    too_wide: Vec<(String, String)>,
    /// Tables that deliveries change, each with a privilege that these need and whether the user has it.
    delivery: Vec<(&'n Delivery, &'static str, bool)>,
}

/// Result of comparing the columns that a user may update with those that it needs to.
struct Updates {
    /// True if the user may update some column.
    any: bool,
    /// Columns that the user needs to update and may not.
    missing: Vec<String>,
}

impl PostgresConnection {
    /// Compares the privileges of the user with `needs`.
    pub(in crate::store::driver) fn compare_rights(&mut self, needs: &Needs) -> Result<Rights, DriverError> {
        let user = self.texts("SELECT current_user::text", &[])?.concat();
        let TableRights { mut missing, mut too_wide, delivery } = self.compare_tables(needs)?;
        let updates = self.compare_updates(&needs.accounts, &needs.updates, &mut too_wide)?;
        if !updates.missing.is_empty() {
            let (columns, table) = (updates.missing.join(", "), &needs.accounts);
            missing.push(format!("UPDATE ({columns}) on {table} (passwords cannot be changed)"));
        }
        let mut delivers = delivery.iter().any(|(_, _, has)| *has);
        let lacking = delivery.iter().filter(|(_, _, has)| !has).map(|(delivery, right, _)| delivery.lacking(right));
        let mut lacking: Vec<String> = lacking.collect();
        for delivery in &needs.delivery {
            let updates = self.compare_updates(&delivery.table, &delivery.updates, &mut too_wide)?;
            delivers |= updates.any;
            if !updates.missing.is_empty() {
                lacking.push(delivery.lacking(&format!("UPDATE ({})", updates.missing.join(", "))));
            }
        }
        if delivers {
            missing.extend(lacking);
        }
        let attributes = self.wide_attributes()?;
        too_wide.extend(attributes.iter().map(|name| ((*name).to_owned(), String::new())));
        let too_wide = plan::by_object(too_wide);
        let administrator = Some(self.texts(ADMINISTERS, &[&needs.accounts])?.concat()).filter(|why| !why.is_empty());
        let statements = match missing.is_empty() && too_wide.is_empty() {
            true => Vec::new(),
            false => match self.privileges(needs, attributes) {
                // A user that may not read the catalog still gets the list of what is missing.
                Err(DriverError::Refused { .. }) => Vec::new(),
                privileges if administrator.is_some() => privileges?.separate_user(needs),
                privileges => privileges?.corrections(needs, delivers),
            },
        };
        Ok(Rights { user, administrator, too_wide, missing, statements })
    }

    /// Compares the user's privileges on whole tables with those needed.
    fn compare_tables<'n>(&mut self, needs: &'n Needs) -> Result<TableRights<'n>, DriverError> {
        let mut rights = TableRights::default();
        for table in &needs.tables {
            for right in ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"] {
                let needed = right == "SELECT" && needs.reads.contains(table);
                let has = self.is("SELECT has_table_privilege($1::text, $2::text)", &[table, right])?;
                if let Some(delivery) = needs.delivery(table).filter(|_| Needs::DELIVERY.contains(&right)) {
                    rights.delivery.push((delivery, right, has));
                    continue;
                }
                match (has, needed) {
                    (true, false) => rights.too_wide.push((right.to_owned(), table.clone())),
                    (false, true) => rights.missing.push(format!("{right} on {table}")),
                    _ => {}
                }
            }
        }
        Ok(rights)
    }

    /// Returns the attributes of the user that go beyond any table.
    fn wide_attributes(&mut self) -> Result<Vec<&'static str>, DriverError> {
        let mut attributes = Vec::new();
        for (attribute, name) in [
            ("rolsuper", "SUPERUSER"),
            ("rolcreaterole", "CREATEROLE"),
            ("rolcreatedb", "CREATEDB"),
            ("rolreplication", "REPLICATION"),
            ("rolbypassrls", "BYPASSRLS"),
        ] {
            if self.is(&format!("SELECT {attribute} FROM pg_roles WHERE rolname = current_user"), &[])? {
                attributes.push(name);
            }
        }
        Ok(attributes)
    }

    /// Compares the columns of a table that the user may update with `wanted`, and adds further ones to `too_wide`.
    fn compare_updates(
        &mut self,
        table: &str,
        wanted: &[String],
        too_wide: &mut Vec<(String, String)>,
    ) -> Result<Updates, DriverError> {
        let columns = self.texts(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1::text) AND attnum > 0
             AND NOT attisdropped AND has_column_privilege(attrelid, attnum, 'UPDATE')",
            &[table],
        )?;
        let wide: Vec<_> = columns.iter().filter(|c| !wanted.contains(c)).map(String::as_str).collect();
        if !wide.is_empty() && !too_wide.contains(&("UPDATE".to_owned(), table.to_owned())) {
            too_wide.push((format!("UPDATE ({})", wide.join(", ")), table.to_owned()));
        }
        let missing = wanted.iter().filter(|c| !columns.contains(c)).cloned().collect();
        Ok(Updates { any: !columns.is_empty(), missing })
    }

    /// Reads the user's privileges on all tables, and the roles that give them.
    fn privileges(&mut self, needs: &Needs, attributes: Vec<&'static str>) -> Result<Privileges, DriverError> {
        let user = self.texts(QUOTED, &[""])?.concat();
        let mut privileges = Privileges { user, attributes, ..Privileges::default() };
        let statement = Statement { slot: None, sql: HELD.to_owned() };
        for table in &needs.tables {
            let quoted = self.texts(QUOTED, &[table])?.concat();
            privileges.tables.push((table.clone(), quoted));
            self.query(&statement, &[Param::Text(table.as_bytes())], &mut |row| {
                let text = |index| match row.cell(index) {
                    Cell::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                    _ => None,
                };
                let (right, end) = (text(0).unwrap_or_default(), text(3).unwrap_or_default());
                let revoke = match text(4) {
                    Some(right) => Revoke::Right { right, from: end },
                    None => Revoke::Whole(end),
                };
                privileges.hold(table, right, text(1), text(2), revoke);
            })?;
        }
        Ok(privileges)
    }
}

/// Selects every privilege of the user on one table of this program (`$1`, text), with its column, the quoted role that
/// gives it, and what revokes it: a privilege and the end of a statement, or without a privilege a whole statement.
/// Columns of the result: privilege, column, role, end, privilege to revoke.
///
/// The owner of a table can always grant itself what was revoked, so the ownership of a table that the user owns is
/// given to the user that runs the statement.
const HELD: &str = "
WITH RECURSIVE mine(role, via) AS (
    SELECT oid, NULL::oid FROM pg_roles WHERE rolname = current_user
    UNION
    SELECT m.roleid, COALESCE(mine.via, m.roleid) FROM pg_auth_members m JOIN mine ON m.member = mine.role
), usable AS (
    SELECT role, via FROM mine WHERE pg_has_role(role, 'USAGE')
), ours AS (
    SELECT c.oid, c.relacl, c.relowner, format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1::text)
), held AS (
    SELECT a.privilege_type AS what, NULL::name AS col, a.grantee
    FROM ours, aclexplode(COALESCE(ours.relacl, acldefault('r', ours.relowner))) a
    UNION ALL
    SELECT a.privilege_type, t.attname, a.grantee
    FROM ours JOIN pg_attribute t ON t.attrelid = ours.oid, aclexplode(t.attacl) a WHERE NOT t.attisdropped
    UNION ALL
    SELECT 'OWNER', NULL, relowner FROM ours
    UNION ALL
    SELECT p.what, NULL, r.oid FROM ours, pg_roles r JOIN (VALUES ('pg_read_all_data', 'SELECT'),
        ('pg_write_all_data', 'INSERT'), ('pg_write_all_data', 'UPDATE'), ('pg_write_all_data', 'DELETE')
    ) p(role, what) ON p.role = r.rolname
)
SELECT held.what, held.col::text, quote_ident(pg_get_userbyid(usable.via)),
    CASE WHEN held.grantee <> 0 AND held.grantee = ours.relowner
        THEN format('ALTER TABLE %s OWNER TO CURRENT_USER', ours.name)
        ELSE format('ON %s FROM %s', ours.name,
            CASE held.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(held.grantee)) END)
    END,
    CASE WHEN held.grantee <> 0 AND held.grantee = ours.relowner THEN NULL
        ELSE held.what || COALESCE(' (' || quote_ident(held.col) || ')', '')
    END
FROM ours, held LEFT JOIN usable ON usable.role = held.grantee
WHERE held.what IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'OWNER')
    AND (held.grantee = 0 OR usable.role IS NOT NULL)
ORDER BY 4, 2";

/// Selects the quoted name of the table `$1` with its schema, or that of the user if `$1` is empty.
const QUOTED: &str = "
SELECT CASE $1::text WHEN '' THEN quote_ident(current_user)
    ELSE (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE c.oid = to_regclass($1::text)) END";

/// The data from the server that the statements are planned from.
#[derive(Default)]
struct Privileges {
    /// Quoted name of the user.
    pub user: String,
    /// Each table, with its quoted name including the schema.
    pub tables: Vec<(String, String)>,
    /// Privileges of the user.
    pub held: Vec<HeldPrivilege>,
    /// Attributes of the user that go beyond any table, such as `SUPERUSER`.
    pub attributes: Vec<&'static str>,
}

/// Selects why the user is an administrator of the tables, as a text; NULL if it is not one. `$1` is a table.
const ADMINISTERS: &str = "
SELECT CASE
    WHEN r.rolsuper THEN 'SUPERUSER'
    WHEN r.rolcreaterole THEN 'CREATEROLE'
    ELSE (SELECT 'owner of ' || c.relname FROM pg_class c WHERE c.oid = to_regclass($1::text) AND c.relowner = r.oid)
    END
FROM pg_roles r WHERE r.rolname = current_user";

impl Privileges {
    /// Adds a row of [`HELD`] about `table`.
    fn hold(&mut self, table: &str, right: String, column: Option<String>, role: Option<String>, revoke: Revoke) {
        // The same privilege may come from several roles, or be granted to all users.
        let known = self.held.iter_mut().find(|held| {
            held.table == table && held.right == right && held.columns.iter().eq(&column) && held.revoke == revoke
        });
        match (known, role) {
            (Some(held), Some(role)) => held.roles.push(role),
            (Some(_), None) => {}
            (None, role) => {
                let columns = column.into_iter().collect();
                let roles = role.into_iter().collect();
                self.held.push(HeldPrivilege { right, columns, table: table.to_owned(), roles, revoke });
            }
        }
    }

    /// Returns the statements that create a user for the daemon, separate from this one, which administers the tables.
    fn separate_user(mut self, needs: &Needs) -> Vec<String> {
        self.user = if self.user == plan::DAEMON { "mailauth_daemon" } else { plan::DAEMON }.to_owned();
        let mut statements = vec![format!("CREATE ROLE {} LOGIN PASSWORD '{}'", self.user, plan::PASSWORD)];
        let schema = self.tables.first().and_then(|(_, quoted)| quoted.split_once('.')).map(|(schema, _)| schema);
        // All users may use the schema `public`.
        if let Some(schema) = schema.filter(|schema| *schema != "public") {
            statements.push(format!("GRANT USAGE ON SCHEMA {schema} TO {}", self.user));
            statements.push(format!("ALTER ROLE {} SET search_path = {schema}", self.user));
        }
        statements.extend(plan::plan(&[], needs, true, &self));
        statements
    }

    /// Returns the statements that correct the privileges of the user.
    fn corrections(&self, needs: &Needs, delivers: bool) -> Vec<String> {
        let mut statements = Vec::new();
        if !self.attributes.is_empty() {
            let without: Vec<_> = self.attributes.iter().map(|attribute| format!("NO{attribute}")).collect();
            statements.push(format!("ALTER ROLE {} {}", self.user, without.join(" ")));
        }
        statements.extend(plan::plan(&self.held, needs, delivers, self));
        statements
    }
}

impl SqlNames for Privileges {
    fn user(&self) -> &str {
        &self.user
    }

    fn table(&self, name: &str) -> String {
        let known = self.tables.iter().find(|(table, _)| table == name);
        known.map_or_else(|| quote(name), |(_, quoted)| quoted.clone())
    }

    /// Quotes a column if it is not a plain word in lower case.
    fn column(&self, name: &str) -> String {
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if plain { name.to_owned() } else { quote(name) }
    }
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
