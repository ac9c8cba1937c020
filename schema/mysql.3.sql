-- From schema version 2 to 3, for MariaDB and MySQL: indexes by which each statement finds its rows, and the sums of
-- domains. `mailauth init` runs this file. Schema statements cannot be undone here, so each one may be run again, and the
-- version is written last of all.

-- MySQL has no ADD KEY IF NOT EXISTS.
SET @step = IF(
    EXISTS (SELECT 1 FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name = 'accounts' AND index_name = 'accounts_by_update'),
    'DO 0',
    'ALTER TABLE accounts ADD KEY accounts_by_update (updated_at, login)'
);
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

SET @step = IF(
    EXISTS (SELECT 1 FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name = 'domains' AND index_name = 'domains_by_update'),
    'DO 0',
    'ALTER TABLE domains ADD KEY domains_by_update (updated_at, name)'
);
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

SET @step = IF(
    EXISTS (SELECT 1 FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name = 'aliases' AND index_name = 'aliases_by_update'),
    'DO 0',
    'ALTER TABLE aliases
        ADD COLUMN updated_at DATETIME NOT NULL DEFAULT (UTC_TIMESTAMP()),
        ADD KEY aliases_by_update (updated_at, address, target)'
);
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

-- Each delivery changed this index.
SET @step = IF(
    EXISTS (SELECT 1 FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name = 'mailbox_use' AND index_name = 'mailbox_use_by_domain' AND column_name = 'bytes'),
    'ALTER TABLE mailbox_use DROP KEY mailbox_use_by_domain, ADD KEY mailbox_use_by_domain (domain)',
    'DO 0'
);
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

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

DELETE FROM domain_use;

INSERT INTO domain_use (domain, bytes, messages, mailboxes)
    SELECT domain, LEAST(SUM(bytes), 9223372036854775807), LEAST(SUM(messages), 9223372036854775807), COUNT(*)
    FROM mailbox_use GROUP BY domain;

INSERT INTO schema_version (version) VALUES (3);
