-- From schema version 2 to 3, for PostgreSQL: indexes by which each statement finds its rows, and the sums of domains.
-- `mailauth init` runs this file.

CREATE INDEX domains_by_update ON domains (updated_at, name);

DROP INDEX accounts_by_domain;
CREATE INDEX accounts_by_domain ON accounts (domain, login);
CREATE INDEX accounts_by_update ON accounts (updated_at, login);

ALTER TABLE aliases ADD COLUMN updated_at TIMESTAMP(0) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC');
DROP INDEX aliases_by_domain;
CREATE INDEX aliases_by_domain ON aliases (domain, address, target);
CREATE INDEX aliases_by_update ON aliases (updated_at, address, target);

DROP INDEX mailbox_use_by_domain;
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

INSERT INTO domain_use (domain, bytes, messages, mailboxes)
    SELECT domain, LEAST(SUM(bytes), 9223372036854775807), LEAST(SUM(messages), 9223372036854775807), COUNT(*)
    FROM mailbox_use GROUP BY domain;

INSERT INTO schema_version (version) VALUES (3);
