-- From schema version 3 to 4, for MariaDB and MySQL: accounts that receive no mail, domains that
-- this host is a backup MX of, and domains that are other names of one. `mailauth init`
-- runs this file. Schema statements cannot be undone here, so each one may be run again, and the version is written last
-- of all.

-- MySQL has no ADD COLUMN IF NOT EXISTS.
SET @step = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'domains' AND column_name = 'backup'),
    'DO 0',
    'ALTER TABLE domains
        ADD COLUMN backup TINYINT NOT NULL DEFAULT 0,
        ADD CONSTRAINT domains_backup_0_or_1 CHECK (backup IN (0, 1))'
);
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

SET @step = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'accounts' AND column_name = 'receives'),
    'DO 0',
    'ALTER TABLE accounts
        ADD COLUMN receives TINYINT NOT NULL DEFAULT 1,
        ADD CONSTRAINT accounts_receives_0_or_1 CHECK (receives IN (0, 1))'
);
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

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

INSERT INTO schema_version (version) VALUES (4);
