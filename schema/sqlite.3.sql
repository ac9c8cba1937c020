-- From schema version 2 to 3, for SQLite: indexes by which each statement finds its rows, and the sums of domains.
-- `mailauth init` runs this file.

CREATE INDEX domains_by_update ON domains (updated_at);
CREATE INDEX accounts_by_update ON accounts (updated_at);

-- A column that is the present time where nothing else is given cannot be added to a table.
ALTER TABLE aliases RENAME TO aliases_2;
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

INSERT INTO aliases (address, domain, target, position, created_at)
    SELECT address, domain, target, position, created_at FROM aliases_2;
DROP TABLE aliases_2;
CREATE INDEX aliases_by_domain ON aliases (domain);
CREATE INDEX aliases_by_update ON aliases (updated_at);

DROP INDEX mailbox_use_by_domain;
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

INSERT INTO domain_use (domain, bytes, messages, mailboxes)
    SELECT domain, CAST(TOTAL(bytes) AS INTEGER), CAST(TOTAL(messages) AS INTEGER), COUNT(*)
    FROM mailbox_use GROUP BY domain;

INSERT INTO schema_version (version) VALUES (3);
