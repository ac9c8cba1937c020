-- From schema version 1 to 2, for SQLite: quotas of domains. `mailauth init` runs this file.

ALTER TABLE domains ADD COLUMN quota_bytes     INTEGER CONSTRAINT domains_quota_bytes_range    CHECK (quota_bytes >= 0);
ALTER TABLE domains ADD COLUMN quota_messages  INTEGER CONSTRAINT domains_quota_messages_range CHECK (quota_messages >= 0);

-- What each mailbox of a domain with a quota holds, as it was last published. A mailbox without a row counts as empty.
CREATE TABLE mailbox_use (
    login        TEXT    NOT NULL PRIMARY KEY REFERENCES accounts (login) ON DELETE CASCADE,
    -- What stands after the last @ of the login.
    domain       TEXT    NOT NULL,
    bytes        INTEGER NOT NULL,
    messages     INTEGER NOT NULL,
    measured_at  TEXT    NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT mailbox_use_login_of_its_domain  CHECK (length(login) > length(domain) + 1 AND substr(login, -length(domain) - 1) = '@' || domain),
    CONSTRAINT mailbox_use_bytes_range          CHECK (bytes >= 0),
    CONSTRAINT mailbox_use_messages_range       CHECK (messages >= 0),
    CONSTRAINT mailbox_use_measured_is_time     CHECK (measured_at IS datetime(measured_at))
) STRICT, WITHOUT ROWID;

-- A domain's sum is had from the index alone.
CREATE INDEX mailbox_use_by_domain ON mailbox_use (domain, bytes, messages);

INSERT INTO schema_version (version) VALUES (2);
