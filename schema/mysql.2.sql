-- From schema version 1 to 2, for MariaDB and MySQL: quotas of domains. `mailauth init` runs this file. Schema statements
-- cannot be undone here, so each one may be run again, and the version is written last of all.

-- MySQL has no ADD COLUMN IF NOT EXISTS.
SET @step = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'domains' AND column_name = 'quota_bytes'),
    'DO 0',
    'ALTER TABLE domains
        ADD COLUMN quota_bytes     BIGINT,
        ADD COLUMN quota_messages  BIGINT,
        ADD CONSTRAINT domains_quota_bytes_range     CHECK (quota_bytes >= 0),
        ADD CONSTRAINT domains_quota_messages_range  CHECK (quota_messages >= 0)'
);
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

-- What each mailbox of a domain with a quota holds, as it was last published. A mailbox without a row counts as empty.
CREATE TABLE IF NOT EXISTS mailbox_use (
    login        VARCHAR(254)  NOT NULL PRIMARY KEY,
    -- What stands after the last @ of the login.
    domain       VARCHAR(252)  NOT NULL,
    bytes        BIGINT        NOT NULL,
    messages     BIGINT        NOT NULL,
    measured_at  DATETIME      NOT NULL DEFAULT (UTC_TIMESTAMP()),
    -- A domain's sum is had from the index alone.
    KEY mailbox_use_by_domain (domain, bytes, messages),
    CONSTRAINT mailbox_use_account_exists       FOREIGN KEY (login) REFERENCES accounts (login) ON DELETE CASCADE,
    CONSTRAINT mailbox_use_login_of_its_domain  CHECK (CHAR_LENGTH(login) > CHAR_LENGTH(domain) + 1 AND RIGHT(login, CHAR_LENGTH(domain) + 1) = CONCAT('@', domain)),
    CONSTRAINT mailbox_use_bytes_range          CHECK (bytes >= 0),
    CONSTRAINT mailbox_use_messages_range       CHECK (messages >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO schema_version (version) VALUES (2);
