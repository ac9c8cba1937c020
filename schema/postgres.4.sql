-- From schema version 3 to 4, for PostgreSQL: accounts that receive no mail, domains that
-- this host is a backup MX of, and domains that are other names of one. `mailauth init`
-- runs this file.

ALTER TABLE domains
    ADD COLUMN backup SMALLINT NOT NULL DEFAULT 0,
    ADD CONSTRAINT domains_backup_0_or_1 CHECK (backup IN (0, 1));
ALTER TABLE accounts
    ADD COLUMN receives SMALLINT NOT NULL DEFAULT 1,
    ADD CONSTRAINT accounts_receives_0_or_1 CHECK (receives IN (0, 1));

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

INSERT INTO schema_version (version) VALUES (4);
