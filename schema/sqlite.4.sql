-- From schema version 3 to 4, for SQLite: accounts that receive no mail, domains that
-- this host is a backup MX of, and domains that are other names of one. `mailauth init` runs
-- this file.

ALTER TABLE domains ADD COLUMN backup INTEGER NOT NULL DEFAULT 0 CONSTRAINT domains_backup_0_or_1 CHECK (backup IN (0, 1));
ALTER TABLE accounts ADD COLUMN receives INTEGER NOT NULL DEFAULT 1 CONSTRAINT accounts_receives_0_or_1 CHECK (receives IN (0, 1));

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

INSERT INTO schema_version (version) VALUES (4);
