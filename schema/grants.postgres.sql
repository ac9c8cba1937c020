-- The rights of each role, for PostgreSQL. Run it in mailauth's database, as the owner of its tables or a superuser,
-- after `mailauth init`, and again after each one that brought the tables up to date:
--   psql -1 -f schema/grants.postgres.sql mail
--
-- Roles are of the whole server. A daemon's user gets its two by, for instance,
--   CREATE ROLE mailauth LOGIN PASSWORD 'a long password' IN ROLE mailauth_reader, mailauth_password;

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['mailauth_reader', 'mailauth_password', 'mailauth_delivery', 'mailauth_writer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
END
$$;

-- The daemon: answers about accounts and addresses.
GRANT SELECT ON accounts, domains, aliases, alias_domains, schema_version TO mailauth_reader;

-- Beside the reader's, for a daemon that lets people change their passwords (PASSWD).
GRANT UPDATE (password, updated_at, password_changed_at) ON accounts TO mailauth_password;

-- Beside the reader's, where domains have quotas: for `mailauth deliver`, `mailauth quota recount`, and a daemon that
-- Exim asks whether there is room.
GRANT SELECT, INSERT, UPDATE (bytes, messages, measured_at) ON mailbox_use TO mailauth_delivery;
GRANT SELECT, INSERT, UPDATE (domain, bytes, messages, mailboxes) ON domain_use TO mailauth_delivery;

-- The administrator's command, but for `mailauth init`, which creates tables.
GRANT SELECT, INSERT, UPDATE, DELETE ON accounts, domains, aliases, alias_domains TO mailauth_writer;
GRANT SELECT, INSERT, UPDATE (bytes, messages, measured_at), DELETE ON mailbox_use TO mailauth_writer;
GRANT SELECT, INSERT, UPDATE (domain, bytes, messages, mailboxes) ON domain_use TO mailauth_writer;
GRANT SELECT ON schema_version TO mailauth_writer;
