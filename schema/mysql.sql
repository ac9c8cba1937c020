-- mailauth's tables for MariaDB 10.2 or later and MySQL 8.0.16 or later, schema version 4.
--
-- `mailauth init` runs this file on a new database; `mariadb mail < schema/mysql.sql` does the same in one that exists and
-- is empty. An older one it brings up to date by the files with a number, one for each version. Schema statements cannot be
-- undone here, so each one may be run again, and the version is written last of all.
-- The same rows load into all three databases: names are in lower case, NULL is "as the configuration says", times are
-- UTC as 2026-11-23 20:00:00.

-- A version that stands here is there whole.
CREATE TABLE IF NOT EXISTS schema_version (
    version     INTEGER  NOT NULL PRIMARY KEY,
    applied_at  DATETIME NOT NULL DEFAULT (UTC_TIMESTAMP())
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The domains whose mail this host keeps.
CREATE TABLE IF NOT EXISTS domains (
    name         VARCHAR(252)  NOT NULL PRIMARY KEY,
    -- 0: none of its accounts may log in or receive mail.
    enabled      TINYINT       NOT NULL DEFAULT 1,
    description  VARCHAR(1024),
    created_at   DATETIME      NOT NULL DEFAULT (UTC_TIMESTAMP()),
    updated_at   DATETIME      NOT NULL DEFAULT (UTC_TIMESTAMP()),
    -- The most bytes and messages that its mailboxes keep together; 0 or NULL: no limit.
    quota_bytes     BIGINT,
    quota_messages  BIGINT,
    -- 1: this host is only a backup MX of it. Mail for any of its addresses is accepted and sent on, and it has no accounts.
    backup          TINYINT       NOT NULL DEFAULT 0,
    KEY domains_by_update (updated_at, name),
    CONSTRAINT domains_name_length      CHECK (LENGTH(name) BETWEEN 1 AND 252),
    CONSTRAINT domains_name_lower_case  CHECK (name = LOWER(name)),
    CONSTRAINT domains_name_printable   CHECK (name NOT REGEXP '[[:cntrl:][:space:]@/]'),
    CONSTRAINT domains_enabled_0_or_1   CHECK (enabled IN (0, 1)),
    CONSTRAINT domains_quota_bytes_range     CHECK (quota_bytes >= 0),
    CONSTRAINT domains_quota_messages_range  CHECK (quota_messages >= 0),
    CONSTRAINT domains_backup_0_or_1         CHECK (backup IN (0, 1))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One mail login for each mailbox.
CREATE TABLE IF NOT EXISTS accounts (
    -- local@domain, in lower case. The collation compares character by character; mailauth byte by byte.
    login                VARCHAR(254)  NOT NULL PRIMARY KEY,
    -- What stands after the last @ of the login.
    domain               VARCHAR(252)  NOT NULL,
    -- A hash such as {SHA512-CRYPT}$6$... or $2y$...; NULL: nobody can log in with a password.
    password             VARCHAR(1024),
    -- 0: may not log in, and receives no mail.
    enabled              TINYINT       NOT NULL DEFAULT 1,
    -- The services it may log in to, as imap,pop3; NULL: all; none: no login, but mail is delivered.
    services             VARCHAR(255),
    -- The system user and group that own the mailbox; NULL: [mailbox] uid and gid.
    -- Signed, so that a negative number is refused and never cut to 0, which is root.
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
    created_at           DATETIME      NOT NULL DEFAULT (UTC_TIMESTAMP()),
    updated_at           DATETIME      NOT NULL DEFAULT (UTC_TIMESTAMP()),
    password_changed_at  DATETIME,
    -- 0: receives no mail, and may still log in.
    receives             TINYINT       NOT NULL DEFAULT 1,
    -- InnoDB adds the primary key to each index: this one is in the order of domain and login.
    KEY accounts_by_domain (domain),
    KEY accounts_by_update (updated_at, login),
    CONSTRAINT accounts_domain_exists         FOREIGN KEY (domain) REFERENCES domains (name),
    CONSTRAINT accounts_login_length          CHECK (LENGTH(login) <= 254),
    CONSTRAINT accounts_login_lower_case      CHECK (login = LOWER(login)),
    CONSTRAINT accounts_login_printable       CHECK (login NOT REGEXP '[[:cntrl:][:space:]]'),
    CONSTRAINT accounts_login_of_its_domain   CHECK (CHAR_LENGTH(login) > CHAR_LENGTH(domain) + 1 AND RIGHT(login, CHAR_LENGTH(domain) + 1) = CONCAT('@', domain)),
    CONSTRAINT accounts_password_printable    CHECK (password NOT REGEXP '[[:cntrl:]]'),
    CONSTRAINT accounts_enabled_0_or_1        CHECK (enabled IN (0, 1)),
    CONSTRAINT accounts_services_list         CHECK (services REGEXP '^[a-z0-9_-]+(,[a-z0-9_-]+)*$'),
    CONSTRAINT accounts_uid_range             CHECK (uid BETWEEN 0 AND 4294967294),
    CONSTRAINT accounts_gid_range             CHECK (gid BETWEEN 0 AND 4294967294),
    CONSTRAINT accounts_home_absolute         CHECK (LEFT(home, 1) = '/'),
    CONSTRAINT accounts_home_printable        CHECK (home NOT REGEXP '[[:cntrl:]]'),
    CONSTRAINT accounts_maildir_printable     CHECK (CHAR_LENGTH(maildir) > 0 AND maildir NOT REGEXP '[[:cntrl:]]'),
    CONSTRAINT accounts_quota_bytes_range     CHECK (quota_bytes >= 0),
    CONSTRAINT accounts_quota_messages_range  CHECK (quota_messages >= 0),
    CONSTRAINT accounts_name_printable        CHECK (name NOT REGEXP '[[:cntrl:]]'),
    CONSTRAINT accounts_options_printable     CHECK (options NOT REGEXP '[[:cntrl:]]'),
    CONSTRAINT accounts_receives_0_or_1       CHECK (receives IN (0, 1))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Addresses whose mail goes elsewhere: one row for each target.
CREATE TABLE IF NOT EXISTS aliases (
    -- local@domain, or @domain for whatever else comes to the domain. In lower case.
    address     VARCHAR(254)  NOT NULL,
    -- What stands after the last @ of the address.
    domain      VARCHAR(252)  NOT NULL,
    -- Where its mail goes.
    target      VARCHAR(254)  NOT NULL,
    -- The order of an address's targets.
    position    INTEGER       NOT NULL DEFAULT 0,
    created_at  DATETIME      NOT NULL DEFAULT (UTC_TIMESTAMP()),
    updated_at  DATETIME      NOT NULL DEFAULT (UTC_TIMESTAMP()),
    PRIMARY KEY (address, target),
    -- In the order of domain, address and target.
    KEY aliases_by_domain (domain),
    KEY aliases_by_update (updated_at, address, target),
    CONSTRAINT aliases_domain_exists          FOREIGN KEY (domain) REFERENCES domains (name),
    CONSTRAINT aliases_address_length         CHECK (LENGTH(address) <= 254),
    CONSTRAINT aliases_address_lower_case     CHECK (address = LOWER(address)),
    CONSTRAINT aliases_address_printable      CHECK (address NOT REGEXP '[[:cntrl:][:space:]]'),
    CONSTRAINT aliases_address_of_its_domain  CHECK (RIGHT(address, CHAR_LENGTH(domain) + 1) = CONCAT('@', domain)),
    CONSTRAINT aliases_target_printable       CHECK (CHAR_LENGTH(target) > 0 AND target NOT REGEXP '[[:cntrl:]]'),
    CONSTRAINT aliases_position_range         CHECK (position >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Domains that are other names of one whose mail is kept here: each address of the one is the same address of the other.
CREATE TABLE IF NOT EXISTS alias_domains (
    -- Not the name of a row of domains.
    name        VARCHAR(252)  NOT NULL PRIMARY KEY,
    target      VARCHAR(252)  NOT NULL,
    -- 0: none of its addresses receives mail.
    enabled     TINYINT       NOT NULL DEFAULT 1,
    created_at  DATETIME      NOT NULL DEFAULT (UTC_TIMESTAMP()),
    updated_at  DATETIME      NOT NULL DEFAULT (UTC_TIMESTAMP()),
    -- In the order of target and name.
    KEY alias_domains_by_target (target),
    KEY alias_domains_by_update (updated_at, name),
    CONSTRAINT alias_domains_target_exists    FOREIGN KEY (target) REFERENCES domains (name),
    CONSTRAINT alias_domains_name_length      CHECK (LENGTH(name) BETWEEN 1 AND 252),
    CONSTRAINT alias_domains_name_lower_case  CHECK (name = LOWER(name)),
    CONSTRAINT alias_domains_name_printable   CHECK (name NOT REGEXP '[[:cntrl:][:space:]@/]'),
    CONSTRAINT alias_domains_of_another       CHECK (target <> name),
    CONSTRAINT alias_domains_enabled_0_or_1   CHECK (enabled IN (0, 1))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What each mailbox of a domain with a quota holds, as it was last published. A mailbox without a row counts as empty.
CREATE TABLE IF NOT EXISTS mailbox_use (
    login        VARCHAR(254)  NOT NULL PRIMARY KEY,
    -- What stands after the last @ of the login.
    domain       VARCHAR(252)  NOT NULL,
    bytes        BIGINT        NOT NULL,
    messages     BIGINT        NOT NULL,
    measured_at  DATETIME      NOT NULL DEFAULT (UTC_TIMESTAMP()),
    -- In the order of domain and login. A delivery changes none of its columns.
    KEY mailbox_use_by_domain (domain),
    CONSTRAINT mailbox_use_account_exists       FOREIGN KEY (login) REFERENCES accounts (login) ON DELETE CASCADE,
    CONSTRAINT mailbox_use_login_of_its_domain  CHECK (CHAR_LENGTH(login) > CHAR_LENGTH(domain) + 1 AND RIGHT(login, CHAR_LENGTH(domain) + 1) = CONCAT('@', domain)),
    CONSTRAINT mailbox_use_bytes_range          CHECK (bytes >= 0),
    CONSTRAINT mailbox_use_messages_range       CHECK (messages >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What the mailboxes of a domain hold together: the sum of mailbox_use, kept with each change of it. A domain without a row
-- has no mailbox that published. Rows of mailbox_use that other programs add, change or remove are not in it before
-- `mailauth quota recount --all` sums up again.
CREATE TABLE IF NOT EXISTS domain_use (
    domain     VARCHAR(252)  NOT NULL PRIMARY KEY,
    bytes      BIGINT        NOT NULL,
    messages   BIGINT        NOT NULL,
    -- How many have published.
    mailboxes  BIGINT        NOT NULL,
    CONSTRAINT domain_use_domain_exists  FOREIGN KEY (domain) REFERENCES domains (name) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO schema_version (version) VALUES (4);
