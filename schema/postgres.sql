-- mailauth's tables for PostgreSQL 11 or later, schema version 4. The database's encoding must be UTF8.
--
-- `mailauth init` runs this file on a new database; `psql -1 -f schema/postgres.sql mail` does the same. An older one it
-- brings up to date by the files with a number, one for each version.
-- The same rows load into all three databases: names are in lower case, NULL is "as the configuration says", times are
-- UTC as 2026-11-23 20:00:00, and what is on or off is 1 or 0.

-- A version that stands here is there whole.
CREATE TABLE schema_version (
    version     INTEGER       NOT NULL PRIMARY KEY,
    applied_at  TIMESTAMP(0)  NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

-- The domains whose mail this host keeps.
CREATE TABLE domains (
    name         VARCHAR(252)   COLLATE "C" NOT NULL PRIMARY KEY,
    -- 0: none of its accounts may log in or receive mail.
    enabled      SMALLINT       NOT NULL DEFAULT 1,
    description  VARCHAR(1024),
    created_at   TIMESTAMP(0)   NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at   TIMESTAMP(0)   NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    -- The most bytes and messages that its mailboxes keep together; 0 or NULL: no limit.
    quota_bytes     BIGINT,
    quota_messages  BIGINT,
    -- 1: this host is only a backup MX of it. Mail for any of its addresses is accepted and sent on, and it has no accounts.
    backup          SMALLINT       NOT NULL DEFAULT 0,
    CONSTRAINT domains_name_length      CHECK (octet_length(name) BETWEEN 1 AND 252),
    CONSTRAINT domains_name_lower_case  CHECK (name = lower(name)),
    CONSTRAINT domains_name_printable   CHECK (name !~ '[[:cntrl:][:space:]@/]'),
    CONSTRAINT domains_enabled_0_or_1   CHECK (enabled IN (0, 1)),
    CONSTRAINT domains_quota_bytes_range     CHECK (quota_bytes >= 0),
    CONSTRAINT domains_quota_messages_range  CHECK (quota_messages >= 0),
    CONSTRAINT domains_backup_0_or_1         CHECK (backup IN (0, 1))
);

CREATE INDEX domains_by_update ON domains (updated_at, name);

-- One mail login for each mailbox.
CREATE TABLE accounts (
    -- local@domain, in lower case; compared byte by byte.
    login                VARCHAR(254)   COLLATE "C" NOT NULL PRIMARY KEY,
    -- What stands after the last @ of the login.
    domain               VARCHAR(252)   COLLATE "C" NOT NULL,
    -- A hash such as {SHA512-CRYPT}$6$... or $2y$...; NULL: nobody can log in with a password.
    password             VARCHAR(1024)  COLLATE "C",
    -- 0: may not log in, and receives no mail.
    enabled              SMALLINT       NOT NULL DEFAULT 1,
    -- The services it may log in to, as imap,pop3; NULL: all; none: no login, but mail is delivered.
    services             VARCHAR(255)   COLLATE "C",
    -- The system user and group that own the mailbox; NULL: [mailbox] uid and gid.
    uid                  BIGINT,
    gid                  BIGINT,
    -- Absolute path; NULL: [mailbox] home.
    home                 VARCHAR(1024),
    -- Absolute, or relative to home; NULL: [mailbox] maildir.
    maildir              VARCHAR(1024),
    -- The most bytes and messages kept; 0: no limit; NULL: [mailbox] quota.
    quota_bytes          BIGINT,
    quota_messages       BIGINT,
    -- The person's name.
    name                 VARCHAR(255),
    -- Courier's account options: name=value with commas between.
    options              VARCHAR(1024),
    created_at           TIMESTAMP(0)   NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at           TIMESTAMP(0)   NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    password_changed_at  TIMESTAMP(0),
    -- 0: receives no mail, and may still log in.
    receives             SMALLINT       NOT NULL DEFAULT 1,
    CONSTRAINT accounts_domain_exists         FOREIGN KEY (domain) REFERENCES domains (name),
    CONSTRAINT accounts_login_length          CHECK (octet_length(login) <= 254),
    CONSTRAINT accounts_login_lower_case      CHECK (login = lower(login)),
    CONSTRAINT accounts_login_printable       CHECK (login !~ '[[:cntrl:][:space:]]'),
    CONSTRAINT accounts_login_of_its_domain   CHECK (length(login) > length(domain) + 1 AND right(login, length(domain) + 1) = '@' || domain),
    CONSTRAINT accounts_password_printable    CHECK (password !~ '[[:cntrl:]]'),
    CONSTRAINT accounts_enabled_0_or_1        CHECK (enabled IN (0, 1)),
    CONSTRAINT accounts_services_list         CHECK (services ~ '^[a-z0-9_-]+(,[a-z0-9_-]+)*$'),
    CONSTRAINT accounts_uid_range             CHECK (uid BETWEEN 0 AND 4294967294),
    CONSTRAINT accounts_gid_range             CHECK (gid BETWEEN 0 AND 4294967294),
    CONSTRAINT accounts_home_absolute         CHECK (left(home, 1) = '/'),
    CONSTRAINT accounts_home_printable        CHECK (home !~ '[[:cntrl:]]'),
    CONSTRAINT accounts_maildir_printable     CHECK (length(maildir) > 0 AND maildir !~ '[[:cntrl:]]'),
    CONSTRAINT accounts_quota_bytes_range     CHECK (quota_bytes >= 0),
    CONSTRAINT accounts_quota_messages_range  CHECK (quota_messages >= 0),
    CONSTRAINT accounts_name_printable        CHECK (name !~ '[[:cntrl:]]'),
    CONSTRAINT accounts_options_printable     CHECK (options !~ '[[:cntrl:]]'),
    CONSTRAINT accounts_receives_0_or_1       CHECK (receives IN (0, 1))
);

CREATE INDEX accounts_by_domain ON accounts (domain, login);
CREATE INDEX accounts_by_update ON accounts (updated_at, login);

-- Addresses whose mail goes elsewhere: one row for each target.
CREATE TABLE aliases (
    -- local@domain, or @domain for whatever else comes to the domain. In lower case.
    address     VARCHAR(254)  COLLATE "C" NOT NULL,
    -- What stands after the last @ of the address.
    domain      VARCHAR(252)  COLLATE "C" NOT NULL,
    -- Where its mail goes.
    target      VARCHAR(254)  COLLATE "C" NOT NULL,
    -- The order of an address's targets.
    position    INTEGER       NOT NULL DEFAULT 0,
    created_at  TIMESTAMP(0)  NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at  TIMESTAMP(0)  NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    PRIMARY KEY (address, target),
    CONSTRAINT aliases_domain_exists          FOREIGN KEY (domain) REFERENCES domains (name),
    CONSTRAINT aliases_address_length         CHECK (octet_length(address) <= 254),
    CONSTRAINT aliases_address_lower_case     CHECK (address = lower(address)),
    CONSTRAINT aliases_address_printable      CHECK (address !~ '[[:cntrl:][:space:]]'),
    CONSTRAINT aliases_address_of_its_domain  CHECK (right(address, length(domain) + 1) = '@' || domain),
    CONSTRAINT aliases_target_printable       CHECK (length(target) > 0 AND target !~ '[[:cntrl:]]'),
    CONSTRAINT aliases_position_range         CHECK (position >= 0)
);

CREATE INDEX aliases_by_domain ON aliases (domain, address, target);
CREATE INDEX aliases_by_update ON aliases (updated_at, address, target);

-- Domains that are other names of one whose mail is kept here: each address of the one is the same address of the other.
CREATE TABLE alias_domains (
    -- Not the name of a row of domains.
    name        VARCHAR(252)  COLLATE "C" NOT NULL PRIMARY KEY,
    target      VARCHAR(252)  COLLATE "C" NOT NULL,
    -- 0: none of its addresses receives mail.
    enabled     SMALLINT      NOT NULL DEFAULT 1,
    created_at  TIMESTAMP(0)  NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at  TIMESTAMP(0)  NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    CONSTRAINT alias_domains_target_exists    FOREIGN KEY (target) REFERENCES domains (name),
    CONSTRAINT alias_domains_name_length      CHECK (octet_length(name) BETWEEN 1 AND 252),
    CONSTRAINT alias_domains_name_lower_case  CHECK (name = lower(name)),
    CONSTRAINT alias_domains_name_printable   CHECK (name !~ '[[:cntrl:][:space:]@/]'),
    CONSTRAINT alias_domains_of_another       CHECK (target <> name),
    CONSTRAINT alias_domains_enabled_0_or_1   CHECK (enabled IN (0, 1))
);

CREATE INDEX alias_domains_by_target ON alias_domains (target, name);
CREATE INDEX alias_domains_by_update ON alias_domains (updated_at, name);

-- What each mailbox of a domain with a quota holds, as it was last published. A mailbox without a row counts as empty.
CREATE TABLE mailbox_use (
    login        VARCHAR(254)  COLLATE "C" NOT NULL PRIMARY KEY,
    -- What stands after the last @ of the login.
    domain       VARCHAR(252)  COLLATE "C" NOT NULL,
    bytes        BIGINT        NOT NULL,
    messages     BIGINT        NOT NULL,
    measured_at  TIMESTAMP(0)  NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    CONSTRAINT mailbox_use_account_exists       FOREIGN KEY (login) REFERENCES accounts (login) ON DELETE CASCADE,
    CONSTRAINT mailbox_use_login_of_its_domain  CHECK (length(login) > length(domain) + 1 AND right(login, length(domain) + 1) = '@' || domain),
    CONSTRAINT mailbox_use_bytes_range          CHECK (bytes >= 0),
    CONSTRAINT mailbox_use_messages_range       CHECK (messages >= 0)
-- Each delivery changes a row: with room beside it, and figures that no index holds, that costs no change of an index.
) WITH (fillfactor = 70);

CREATE INDEX mailbox_use_by_domain ON mailbox_use (domain, login);

-- What the mailboxes of a domain hold together: the sum of mailbox_use, kept with each change of it. A domain without a row
-- has no mailbox that published. Rows of mailbox_use that other programs add, change or remove are not in it before
-- `mailauth quota recount --all` sums up again.
CREATE TABLE domain_use (
    domain     VARCHAR(252)  COLLATE "C" NOT NULL PRIMARY KEY,
    bytes      BIGINT        NOT NULL,
    messages   BIGINT        NOT NULL,
    -- How many have published.
    mailboxes  BIGINT        NOT NULL,
    CONSTRAINT domain_use_domain_exists  FOREIGN KEY (domain) REFERENCES domains (name) ON DELETE CASCADE
-- Each delivery changes a row: with room beside it that costs no change of an index.
) WITH (fillfactor = 50);

INSERT INTO schema_version (version) VALUES (4);
