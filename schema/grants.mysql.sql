-- The rights of each role, for MariaDB and MySQL. Run it in mailauth's database, as an administrator, after
-- `mailauth init`, and again after each one that brought the tables up to date:  mariadb mail < schema/grants.mysql.sql
--
-- A daemon's user gets its roles by, for instance, these lines. MariaDB has one default role for a user, so one of the
-- two is given to the other.
--   CREATE USER mailauth IDENTIFIED BY 'a long password';
--   GRANT mailauth_reader TO mailauth_password;
--   GRANT mailauth_password TO mailauth;
--   SET DEFAULT ROLE mailauth_password FOR mailauth;
-- On MySQL the last one is
--     SET DEFAULT ROLE mailauth_password TO mailauth;

CREATE ROLE IF NOT EXISTS mailauth_reader;
CREATE ROLE IF NOT EXISTS mailauth_password;
CREATE ROLE IF NOT EXISTS mailauth_delivery;
CREATE ROLE IF NOT EXISTS mailauth_writer;

-- The daemon: answers about accounts and addresses.
GRANT SELECT ON accounts TO mailauth_reader;
GRANT SELECT ON domains TO mailauth_reader;
GRANT SELECT ON aliases TO mailauth_reader;
GRANT SELECT ON alias_domains TO mailauth_reader;
GRANT SELECT ON schema_version TO mailauth_reader;

-- Beside the reader's, for a daemon that lets people change their passwords (PASSWD).
GRANT UPDATE (password, updated_at, password_changed_at) ON accounts TO mailauth_password;

-- Beside the reader's, where domains have quotas: for `mailauth deliver`, `mailauth quota recount`, and a daemon that
-- Exim asks whether there is room.
GRANT SELECT, INSERT, UPDATE (bytes, messages, measured_at) ON mailbox_use TO mailauth_delivery;
GRANT SELECT, INSERT, UPDATE (domain, bytes, messages, mailboxes) ON domain_use TO mailauth_delivery;

-- The administrator's command, but for `mailauth init`, which creates tables.
GRANT SELECT, INSERT, UPDATE, DELETE ON accounts TO mailauth_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON domains TO mailauth_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON aliases TO mailauth_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON alias_domains TO mailauth_writer;
GRANT SELECT, INSERT, UPDATE (bytes, messages, measured_at), DELETE ON mailbox_use TO mailauth_writer;
GRANT SELECT, INSERT, UPDATE (domain, bytes, messages, mailboxes) ON domain_use TO mailauth_writer;
GRANT SELECT ON schema_version TO mailauth_writer;
