-- mailauth's tables for SQLite 3.37 or later, schema version 4.
--
-- `mailauth init` runs this file on a new database; `sqlite3 mail.db < schema/sqlite.sql` does the same. An older one it
-- brings up to date by the files with a number, one for each version.
-- The same rows load into all three databases: names are in lower case, NULL is "as the configuration says", times are
-- UTC as 2026-11-23 20:00:00.

-- Written last of all: a version that stands here is there whole.
CREATE TABLE schema_version (
    version     INTEGER NOT NULL PRIMARY KEY,
    applied_at  TEXT    NOT NULL DEFAULT CURRENT_TIMESTAMP
) STRICT;

-- The domains whose mail this host keeps.
CREATE TABLE domains (
    name         TEXT    NOT NULL PRIMARY KEY,
    -- 0: none of its accounts may log in or receive mail.
    enabled      INTEGER NOT NULL DEFAULT 1,
    description  TEXT,
    created_at   TEXT    NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at   TEXT    NOT NULL DEFAULT CURRENT_TIMESTAMP,
    -- The most bytes and messages that its mailboxes keep together; 0 or NULL: no limit.
    quota_bytes     INTEGER CONSTRAINT domains_quota_bytes_range    CHECK (quota_bytes >= 0),
    quota_messages  INTEGER CONSTRAINT domains_quota_messages_range CHECK (quota_messages >= 0),
    -- 1: this host is only a backup MX of it. Mail for any of its addresses is accepted and sent on, and it has no accounts.
    backup          INTEGER NOT NULL DEFAULT 0 CONSTRAINT domains_backup_0_or_1 CHECK (backup IN (0, 1)),
    CONSTRAINT domains_name_length      CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 252),
    CONSTRAINT domains_name_lower_case  CHECK (name = lower(name)),
    CONSTRAINT domains_name_printable   CHECK (name NOT GLOB '*[' || char(1) || '-' || char(32) || char(127) || '-' || char(160) || '@/]*' AND instr(name, char(0)) = 0),
    CONSTRAINT domains_enabled_0_or_1   CHECK (enabled IN (0, 1)),
    CONSTRAINT domains_created_is_time  CHECK (created_at IS datetime(created_at)),
    CONSTRAINT domains_updated_is_time  CHECK (updated_at IS datetime(updated_at))
) STRICT, WITHOUT ROWID;

CREATE INDEX domains_by_update ON domains (updated_at);

-- One mail login for each mailbox.
CREATE TABLE accounts (
    -- local@domain, in lower case; compared byte by byte.
    login                TEXT    NOT NULL PRIMARY KEY,
    -- What stands after the last @ of the login.
    domain               TEXT    NOT NULL REFERENCES domains (name),
    -- A hash such as {SHA512-CRYPT}$6$... or $2y$...; NULL: nobody can log in with a password.
    password             TEXT,
    -- 0: may not log in, and receives no mail.
    enabled              INTEGER NOT NULL DEFAULT 1,
    -- The services it may log in to, as imap,pop3; NULL: all; none: no login, but mail is delivered.
    services             TEXT,
    -- The system user and group that own the mailbox; NULL: [mailbox] uid and gid.
    uid                  INTEGER,
    gid                  INTEGER,
    -- Absolute path; NULL: [mailbox] home.
    home                 TEXT,
    -- Absolute, or relative to home; NULL: [mailbox] maildir.
    maildir              TEXT,
    -- The most bytes and messages kept; 0: no limit; NULL: [mailbox] quota.
    quota_bytes          INTEGER,
    quota_messages       INTEGER,
    -- The person's name.
    name                 TEXT,
    -- Courier's account options: name=value with commas between.
    options              TEXT,
    created_at           TEXT    NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at           TEXT    NOT NULL DEFAULT CURRENT_TIMESTAMP,
    password_changed_at  TEXT,
    -- 0: receives no mail, and may still log in.
    receives             INTEGER NOT NULL DEFAULT 1 CONSTRAINT accounts_receives_0_or_1 CHECK (receives IN (0, 1)),
    CONSTRAINT accounts_login_length            CHECK (length(CAST(login AS BLOB)) <= 254),
    CONSTRAINT accounts_login_lower_case        CHECK (login = lower(login)),
    CONSTRAINT accounts_login_printable         CHECK (login NOT GLOB '*[' || char(1) || '-' || char(32) || char(127) || '-' || char(160) || ']*' AND instr(login, char(0)) = 0),
    CONSTRAINT accounts_login_of_its_domain     CHECK (length(login) > length(domain) + 1 AND substr(login, -length(domain) - 1) = '@' || domain),
    CONSTRAINT accounts_password_printable      CHECK (length(CAST(password AS BLOB)) <= 1024 AND password NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*' AND instr(password, char(0)) = 0),
    CONSTRAINT accounts_enabled_0_or_1          CHECK (enabled IN (0, 1)),
    CONSTRAINT accounts_services_list           CHECK (length(services) <= 255 AND services NOT GLOB '*[^a-z0-9_,-]*' AND ',' || services || ',' NOT LIKE '%,,%'),
    CONSTRAINT accounts_uid_range               CHECK (uid BETWEEN 0 AND 4294967294),
    CONSTRAINT accounts_gid_range               CHECK (gid BETWEEN 0 AND 4294967294),
    CONSTRAINT accounts_home_absolute           CHECK (home LIKE '/%' AND length(home) <= 1024),
    CONSTRAINT accounts_home_printable          CHECK (home NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*' AND instr(home, char(0)) = 0),
    CONSTRAINT accounts_maildir_printable       CHECK (length(maildir) BETWEEN 1 AND 1024 AND maildir NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*' AND instr(maildir, char(0)) = 0),
    CONSTRAINT accounts_quota_bytes_range       CHECK (quota_bytes >= 0),
    CONSTRAINT accounts_quota_messages_range    CHECK (quota_messages >= 0),
    CONSTRAINT accounts_name_printable          CHECK (length(name) <= 255 AND name NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*' AND instr(name, char(0)) = 0),
    CONSTRAINT accounts_options_printable       CHECK (length(options) <= 1024 AND options NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*' AND instr(options, char(0)) = 0),
    CONSTRAINT accounts_created_is_time         CHECK (created_at IS datetime(created_at)),
    CONSTRAINT accounts_updated_is_time         CHECK (updated_at IS datetime(updated_at)),
    CONSTRAINT accounts_password_changed_is_time CHECK (password_changed_at IS datetime(password_changed_at))
) STRICT, WITHOUT ROWID;

-- SQLite adds the primary key to each index of these tables: this one is in the order of domain and login.
CREATE INDEX accounts_by_domain ON accounts (domain);
CREATE INDEX accounts_by_update ON accounts (updated_at);

-- Addresses whose mail goes elsewhere; one row for each target.
CREATE TABLE aliases (
    -- local@domain, or @domain for whatever else comes to the domain. In lower case.
    address     TEXT    NOT NULL,
    -- What stands after the last @ of the address.
    domain      TEXT    NOT NULL REFERENCES domains (name),
    -- Where its mail goes.
    target      TEXT    NOT NULL,
    -- The order of an address's targets.
    position    INTEGER NOT NULL DEFAULT 0,
    created_at  TEXT    NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at  TEXT    NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (address, target),
    CONSTRAINT aliases_address_length         CHECK (length(CAST(address AS BLOB)) <= 254),
    CONSTRAINT aliases_address_lower_case     CHECK (address = lower(address)),
    CONSTRAINT aliases_address_printable      CHECK (address NOT GLOB '*[' || char(1) || '-' || char(32) || char(127) || '-' || char(160) || ']*' AND instr(address, char(0)) = 0),
    CONSTRAINT aliases_address_of_its_domain  CHECK (substr(address, -length(domain) - 1) = '@' || domain),
    CONSTRAINT aliases_target_printable       CHECK (length(target) BETWEEN 1 AND 254 AND target NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*' AND instr(target, char(0)) = 0),
    CONSTRAINT aliases_position_range         CHECK (position >= 0),
    CONSTRAINT aliases_created_is_time        CHECK (created_at IS datetime(created_at)),
    CONSTRAINT aliases_updated_is_time        CHECK (updated_at IS datetime(updated_at))
) STRICT, WITHOUT ROWID;

CREATE INDEX aliases_by_domain ON aliases (domain);
CREATE INDEX aliases_by_update ON aliases (updated_at);

-- Domains that are other names of one whose mail is kept here: each address of the one is the same address of the other.
CREATE TABLE alias_domains (
    -- Not the name of a row of domains.
    name        TEXT    NOT NULL PRIMARY KEY,
    target      TEXT    NOT NULL REFERENCES domains (name),
    -- 0: none of its addresses receives mail.
    enabled     INTEGER NOT NULL DEFAULT 1,
    created_at  TEXT    NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at  TEXT    NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT alias_domains_name_length      CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 252),
    CONSTRAINT alias_domains_name_lower_case  CHECK (name = lower(name)),
    CONSTRAINT alias_domains_name_printable   CHECK (name NOT GLOB '*[' || char(1) || '-' || char(32) || char(127) || '-' || char(160) || '@/]*' AND instr(name, char(0)) = 0),
    CONSTRAINT alias_domains_of_another       CHECK (target <> name),
    CONSTRAINT alias_domains_enabled_0_or_1   CHECK (enabled IN (0, 1)),
    CONSTRAINT alias_domains_created_is_time  CHECK (created_at IS datetime(created_at)),
    CONSTRAINT alias_domains_updated_is_time  CHECK (updated_at IS datetime(updated_at))
) STRICT, WITHOUT ROWID;

CREATE INDEX alias_domains_by_target ON alias_domains (target);
CREATE INDEX alias_domains_by_update ON alias_domains (updated_at);

-- What each mailbox of a domain with a quota holds, as it was last published. A mailbox without a row counts as empty.
CREATE TABLE mailbox_use (
    login        TEXT    NOT NULL PRIMARY KEY REFERENCES accounts (login) ON DELETE CASCADE,
    -- What stands after the last @ of the login.
    domain       TEXT    NOT NULL,
    bytes        INTEGER NOT NULL,
    messages     INTEGER NOT NULL,
    measured_at  TEXT    NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT mailbox_use_login_of_its_domain  CHECK (length(login) > length(domain) + 1 AND substr(login, -length(domain) - 1) = '@' || domain),
    CONSTRAINT mailbox_use_bytes_range          CHECK (bytes >= 0),
    CONSTRAINT mailbox_use_messages_range       CHECK (messages >= 0),
    CONSTRAINT mailbox_use_measured_is_time     CHECK (measured_at IS datetime(measured_at))
) STRICT, WITHOUT ROWID;

-- A delivery changes none of its columns.
CREATE INDEX mailbox_use_by_domain ON mailbox_use (domain);

-- What the mailboxes of a domain hold together: the sum of mailbox_use, kept with each change of it. A domain without a row
-- has no mailbox that published. Rows of mailbox_use that other programs add, change or remove are not in it before
-- `mailauth quota recount --all` sums up again.
CREATE TABLE domain_use (
    domain     TEXT    NOT NULL PRIMARY KEY REFERENCES domains (name) ON DELETE CASCADE,
    bytes      INTEGER NOT NULL,
    messages   INTEGER NOT NULL,
    -- How many have published.
    mailboxes  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO schema_version (version) VALUES (4);
