-- The recipients of mailauth's tables for amavisd-new, for MariaDB and MySQL. Run it in mailauth's database, after `mailauth init`:
--   mariadb mail < schema/amavis.mysql.sql
-- It can be run again. amavisd's own statements read these tables and this view; its configuration needs only
-- @lookup_sql_dsn.
--
-- The user of amavisd reads only these; it needs no right to accounts, and sees no password:
--   GRANT SELECT ON users TO amavis;
--   GRANT SELECT ON policy TO amavis;
--   GRANT SELECT ON mailaddr TO amavis;
--   GRANT SELECT ON wblist TO amavis;

-- Settings for recipients. Other columns that amavisd knows may be added; id is the only one that it needs.
CREATE TABLE IF NOT EXISTS policy (
    id                       INTEGER      NOT NULL AUTO_INCREMENT PRIMARY KEY,
    policy_name              VARCHAR(64),
    -- Y or N; NULL: as amavisd's configuration says. A lover receives the mail all the same.
    virus_lover              CHAR(1),
    spam_lover               CHAR(1),
    unchecked_lover          CHAR(1),
    banned_files_lover       CHAR(1),
    bad_header_lover         CHAR(1),
    bypass_virus_checks      CHAR(1),
    bypass_spam_checks       CHAR(1),
    bypass_banned_checks     CHAR(1),
    bypass_header_checks     CHAR(1),
    -- Scores: from the first on, header fields are added; from the last on, the mail is not delivered.
    spam_tag_level           DOUBLE,
    spam_tag2_level          DOUBLE,
    spam_tag3_level          DOUBLE,
    spam_kill_level          DOUBLE,
    spam_subject_tag2        VARCHAR(64),
    virus_quarantine_to      VARCHAR(64),
    spam_quarantine_to       VARCHAR(64),
    banned_quarantine_to     VARCHAR(64),
    bad_header_quarantine_to VARCHAR(64),
    banned_rulenames         VARCHAR(64),
    -- In bytes; 0: no limit.
    message_size_limit       INTEGER
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The policy of a recipient. Without a row, and where a column of the policy is NULL, that of the domain holds, and then
-- amavisd's configuration.
CREATE TABLE IF NOT EXISTS amavis_users (
    -- The login of an account or the address of an alias; @domain for all others of the domain; @. for everyone else.
    address    VARCHAR(254) NOT NULL PRIMARY KEY,
    policy_id  INTEGER      NOT NULL,
    CONSTRAINT amavis_users_policy_exists  FOREIGN KEY (policy_id) REFERENCES policy (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Senders that recipients accept or reject.
CREATE TABLE IF NOT EXISTS mailaddr (
    id        INTEGER      NOT NULL AUTO_INCREMENT PRIMARY KEY,
    -- Higher ones are considered first: 9 for an address, 5 for @domain, 0 for @. .
    priority  INTEGER      NOT NULL DEFAULT 7,
    email     VARCHAR(254) NOT NULL UNIQUE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS wblist (
    -- The recipient, as in amavis_users.
    rid  VARCHAR(254) NOT NULL,
    -- The sender.
    sid  INTEGER      NOT NULL,
    -- W: accept; B: reject; or a number that is added to the score.
    wb   VARCHAR(10)  NOT NULL,
    PRIMARY KEY (rid, sid),
    CONSTRAINT wblist_sender_exists  FOREIGN KEY (sid) REFERENCES mailaddr (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Everything that amavisd has to treat as local: accounts, aliases, and whatever else comes to a domain. An address of an
-- alias domain has the policy of that domain. Domains that this host is only a backup MX of are not local.
CREATE OR REPLACE VIEW users AS
    SELECT a.login AS id, 8 AS priority, u.policy_id AS policy_id, a.login AS email, 'Y' AS local
      FROM accounts a LEFT JOIN amavis_users u ON u.address = a.login
UNION ALL
    SELECT a.address, 8, u.policy_id, a.address, 'Y'
      FROM aliases a LEFT JOIN amavis_users u ON u.address = a.address
     WHERE a.address NOT LIKE '@%'
UNION ALL
    SELECT CONCAT('@', d.name), 3, u.policy_id, CONCAT('@', d.name), 'Y'
      FROM domains d LEFT JOIN amavis_users u ON u.address = CONCAT('@', d.name)
     WHERE d.backup = 0
UNION ALL
    SELECT CONCAT('@', x.name), 3, COALESCE(u.policy_id, t.policy_id), CONCAT('@', x.name), 'Y'
      FROM alias_domains x
      LEFT JOIN amavis_users u ON u.address = CONCAT('@', x.name)
      LEFT JOIN amavis_users t ON t.address = CONCAT('@', x.target)
UNION ALL
    SELECT u.address, 0, u.policy_id, u.address, NULL
      FROM amavis_users u
     WHERE u.address = '@.';
