-- From schema version 1 to 2, for PostgreSQL: quotas of domains. `mailauth init` runs this file.

ALTER TABLE domains
    ADD COLUMN quota_bytes     BIGINT,
    ADD COLUMN quota_messages  BIGINT,
    ADD CONSTRAINT domains_quota_bytes_range     CHECK (quota_bytes >= 0),
    ADD CONSTRAINT domains_quota_messages_range  CHECK (quota_messages >= 0);

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

CREATE INDEX mailbox_use_by_domain ON mailbox_use (domain);

INSERT INTO schema_version (version) VALUES (2);
