-- The tables of VExim 2.3, with rows that a reader can mistake.
-- Unless a comment says otherwise, the password of NAME@... is "NAME opens".

-- [mysql]
CREATE TABLE domains (
  domain_id int(10) unsigned NOT NULL AUTO_INCREMENT,
  domain varchar(255) NOT NULL DEFAULT '',
  maildir varchar(4096) NOT NULL DEFAULT '',
  uid smallint(5) unsigned NOT NULL DEFAULT 65534,
  gid smallint(5) unsigned NOT NULL DEFAULT 65534,
  max_accounts int(10) unsigned NOT NULL DEFAULT 0,
  quotas int(10) unsigned NOT NULL DEFAULT 0,
  type varchar(5) DEFAULT NULL,
  enabled tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (domain_id),
  UNIQUE KEY domain (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC;
CREATE TABLE users (
  user_id int(10) unsigned NOT NULL AUTO_INCREMENT,
  domain_id int(10) unsigned NOT NULL,
  localpart varchar(64) NOT NULL DEFAULT '',
  username varchar(255) NOT NULL DEFAULT '',
  crypt varchar(255) DEFAULT NULL,
  uid smallint(5) unsigned NOT NULL DEFAULT 65534,
  gid smallint(5) unsigned NOT NULL DEFAULT 65534,
  smtp varchar(4096) DEFAULT NULL,
  pop varchar(4096) DEFAULT NULL,
  type enum('local','alias','catch','fail','piped','admin','site') NOT NULL DEFAULT 'local',
  admin tinyint(1) NOT NULL DEFAULT 0,
  on_forward tinyint(1) NOT NULL DEFAULT 0,
  on_piped tinyint(1) NOT NULL DEFAULT 0,
  on_vacation tinyint(1) NOT NULL DEFAULT 0,
  enabled tinyint(1) NOT NULL DEFAULT 1,
  forward varchar(4096) DEFAULT NULL,
  unseen tinyint(1) NOT NULL DEFAULT 0,
  quota int(10) unsigned NOT NULL DEFAULT 0,
  realname varchar(255) DEFAULT NULL,
  PRIMARY KEY (user_id),
  UNIQUE INDEX username (localpart, domain_id),
  INDEX local (localpart),
  INDEX fk_users_domain_id_idx (domain_id),
  CONSTRAINT fk_users_domain_id FOREIGN KEY (domain_id) REFERENCES domains (domain_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC;
CREATE TABLE domainalias (
  domain_id int(10) unsigned NOT NULL,
  alias varchar(255) NOT NULL PRIMARY KEY,
  CONSTRAINT fk_domainalias_domain_id FOREIGN KEY (domain_id) REFERENCES domains (domain_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC;
CREATE TABLE "groups" (
  id int(10) unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  domain_id int(10) unsigned NOT NULL,
  name varchar(64) NOT NULL,
  is_public char(1) NOT NULL DEFAULT 'Y',
  enabled tinyint(1) NOT NULL DEFAULT 1,
  UNIQUE INDEX group_name (domain_id, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE group_contents (
  group_id int(10) unsigned NOT NULL,
  member_id int(10) unsigned NOT NULL,
  PRIMARY KEY (group_id, member_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- [postgres]
CREATE TABLE domains (
  domain_id serial PRIMARY KEY,
  domain varchar(255) UNIQUE NOT NULL DEFAULT '',
  maildir varchar(4096) NOT NULL DEFAULT '',
  uid int NOT NULL DEFAULT 65534 CHECK (uid BETWEEN 1 AND 65535),
  gid int NOT NULL DEFAULT 65534 CHECK (gid BETWEEN 1 AND 65535),
  max_accounts int NOT NULL DEFAULT 0,
  quotas int NOT NULL DEFAULT 0,
  type varchar(5) DEFAULT NULL,
  enabled smallint NOT NULL DEFAULT 1 CHECK (enabled BETWEEN 0 AND 1)
);
CREATE TABLE users (
  user_id serial PRIMARY KEY,
  domain_id int NOT NULL REFERENCES domains (domain_id) ON DELETE CASCADE,
  localpart varchar(64) NOT NULL DEFAULT '',
  username varchar(255) NOT NULL DEFAULT '',
  crypt varchar(255) DEFAULT NULL,
  uid int NOT NULL DEFAULT 65534,
  gid int NOT NULL DEFAULT 65534,
  smtp varchar(4096) DEFAULT NULL,
  pop varchar(4096) DEFAULT NULL,
  type varchar(8) NOT NULL CHECK (type IN ('local', 'alias', 'catch', 'fail', 'piped', 'admin', 'site')),
  admin smallint NOT NULL DEFAULT 0,
  on_forward smallint NOT NULL DEFAULT 0,
  on_piped smallint NOT NULL DEFAULT 0,
  on_vacation smallint NOT NULL DEFAULT 0,
  enabled smallint NOT NULL DEFAULT 1 CHECK (enabled BETWEEN 0 AND 1),
  forward varchar(4096) DEFAULT NULL,
  unseen smallint NOT NULL DEFAULT 0,
  quota int NOT NULL DEFAULT 0 CHECK (quota > -1),
  realname varchar(255) DEFAULT NULL,
  UNIQUE (localpart, domain_id)
);
CREATE INDEX local ON users (localpart);
CREATE TABLE domainalias (
  domain_id int NOT NULL REFERENCES domains (domain_id),
  alias varchar(255) NOT NULL PRIMARY KEY
);
CREATE TABLE "groups" (
  id serial PRIMARY KEY,
  domain_id int NOT NULL,
  name varchar(64) NOT NULL,
  is_public char(1) NOT NULL DEFAULT 'Y',
  enabled smallint NOT NULL DEFAULT 1,
  UNIQUE (domain_id, name)
);
CREATE TABLE group_contents (
  group_id int NOT NULL,
  member_id int NOT NULL,
  PRIMARY KEY (group_id, member_id)
);

-- [rows]
INSERT INTO domains (domain_id, domain, maildir, uid, gid, type, enabled) VALUES
  (1, 'admin', '', 65534, 65534, NULL, 1), -- hidden: the domain of the site's administrator
  (2, 'hill.example', '/var/vmail/hill.example', 1500, 1500, 'local', 1),
  (3, 'moor.example', '/var/vmail/moor.example', 1500, 1500, 'local', 0), -- switched off
  (4, 'relay.example', '', 1500, 1500, 'relay', 1),
  (5, 'lake.example', '/var/vmail/lake.example', 1500, 1500, 'local', 1);

INSERT INTO users (user_id, domain_id, localpart, username, crypt, uid, gid, smtp, pop, type, admin, on_forward, on_piped, on_vacation, enabled, forward, unseen, quota, realname) VALUES
  (1, 1, 'siteadmin', 'siteadmin', '$y$j75$2hUgKOQzUx3Frexnd.tcj.$D4AYM28TL6KYuziY86HkVFJ6UMqaVW/riuUdTZvhou0', 1500, 1500, '/var/vmail/admin/siteadmin/Maildir', '/var/vmail/admin/siteadmin', 'site', 1, 0, 0, 0, 1, NULL, 0, 0, 'Siteadmin'), -- no mailbox
  (2, 2, 'agnes', 'agnes@hill.example', '$6$rounds=1000$sOI5zYSEkV1X$IVISLoWrMr7n7LoDPoPKbVLXWudkZrnsILddOwj0/jwJ6X9rhNudDuKk1e3bWjBvwb9KWtkxsaAKzcWcMrFdn1', 1500, 1500, '/var/vmail/hill.example/agnes/Maildir', '/var/vmail/hill.example/agnes', 'local', 0, 0, 0, 0, 1, 'agnes@far.example', 1, 200, 'Agnes Hill'), -- 200 MB; forwarding is switched off
  (3, 2, 'boris', 'boris@hill.example', '$5$rounds=1000$22jAxTZDBV3.$4.zBWbvQqfhU08qaxxEJLWpeapinq/ZsW54BzHw9kE1', 1500, 1500, '/var/vmail/hill.example/boris/Maildir', '/var/vmail/hill.example/boris', 'local', 0, 1, 0, 0, 1, 'boris@far.example', 1, 0, 'Boris'), -- forwarded and kept
  (4, 2, 'clara', 'clara@hill.example', '$1$4bZ3hmqB$63xwvO6kI.6JklCy4ZbpO1', 1500, 1500, '/var/vmail/hill.example/clara/Maildir', '/var/vmail/hill.example/clara', 'local', 0, 1, 0, 0, 1, 'clara@far.example, clara@farther.example', 0, 0, 'Clara'), -- forwarded and not kept
  (5, 2, 'dario', 'dario@hill.example', 'JEXX25H5wDLHI', 1500, 1500, '/var/vmail/hill.example/dario/Maildir', '/var/vmail/hill.example/dario', 'local', 0, 0, 0, 0, 0, NULL, 0, 0, 'Dario'), -- disabled
  (6, 2, 'Elsa', 'Elsa@hill.example', '$2y$04$clF0w2OxqibsuQ24k3.9JOKZ5UC4soeZ8WikeUkVInM/RFKYowMvq', 1500, 1500, '/var/vmail/hill.example/Elsa/Maildir', '/var/vmail/hill.example/Elsa', 'local', 0, 0, 0, 0, 1, NULL, 0, 4096, 'Elsa'), -- a capital; a quota beyond 32 bits
  (7, 2, 'info', 'info@hill.example', '*', 1500, 1500, 'agnes@hill.example,boris@hill.example', 'agnes@hill.example,boris@hill.example', 'alias', 0, 0, 0, 0, 1, NULL, 0, 0, 'Info'), -- an alias without a login
  (8, 2, 'postmaster', 'postmaster@hill.example', '$2y$04$sxo0tKhaZ9A0Ggqt7BDZFOw6sutv97jn2D9o6DBOpgF3G4/Ckgdm.', 1500, 1500, 'agnes@hill.example', 'agnes@hill.example', 'alias', 1, 0, 0, 0, 1, NULL, 0, 0, 'Postmaster'), -- an alias that may send
  (9, 2, 'noreply', 'noreply@hill.example', NULL, 1500, 1500, ':fail:', ':fail:', 'fail', 0, 0, 0, 0, 1, NULL, 0, 0, 'No reply'), -- refused
  (10, 2, 'moved', 'moved@hill.example', '$6$rounds=1000$TsE/L4He0ofU$sWZ4lqdXvAPORk3B39mbdiM.L.GeR1VzlcIdNKpC2sVZkuGQPHtyr/D8/MBUFfC.jhMzYdemFVzkrgIm2/OF.1', 1500, 1500, 'moved@far.example', 'moved@far.example', 'fail', 0, 0, 0, 0, 1, NULL, 0, 0, 'Moved'), -- refused with another address
  (11, 2, 'ticket', 'ticket@hill.example', '$y$j75$Aaxjtk2ZaHNELPU3cC/It.$irxocQiSqMTT8ReCQSJez3HpGEuxinlKoihib0qF.01', 1500, 1500, '|/usr/local/bin/ticket --queue 7', '/var/vmail/hill.example/ticket', 'piped', 0, 0, 1, 0, 1, NULL, 0, 0, 'Ticket'), -- a program
  (12, 3, 'greta', 'greta@moor.example', '$6$rounds=1000$5bZClnevziew$A.ZFNEcNxCzt4WWSCjd5aWOXx.44zI7t0oOIo6FJT5Aa2F29gbcCP5nmHwEcRgFo7mDAbo2O6UebxO1p4OPiY1', 1500, 1500, '/var/vmail/moor.example/greta/Maildir', '/var/vmail/moor.example/greta', 'local', 0, 0, 0, 0, 1, NULL, 0, 0, 'Greta'),
  (13, 5, 'iris', 'iris@lake.example', '{SHA256}MKtYGgwTIARiw5pptk6OTiy0kWjUPxDk4TFqLzopts8=', 1501, 1501, '/srv/mail/lake/iris/Maildir', '/srv/mail/lake/iris', 'local', 0, 0, 0, 0, 1, NULL, 0, 0, NULL), -- a home elsewhere, of another user; no name
  (14, 5, '*', '*@lake.example', NULL, 1500, 1500, 'iris@lake.example', 'iris@lake.example', 'catch', 0, 0, 0, 0, 0, NULL, 0, 0, 'Catch-all'), -- Exim does not look at its enabled
  (15, 5, 'noreply', 'noreply@lake.example', NULL, 1500, 1500, ':fail:', ':fail:', 'fail', 0, 0, 0, 0, 1, NULL, 0, 0, 'No reply'), -- does not fall to the catch-all
  (16, 5, 'henri', 'henri@lake.example', '$6$rounds=1000$IUNPmeQe2nCb$62R5dct1F83rekv6sIj.GEp1vmWrFftqAGYDpJtf.4Uqxfuf4LqRW3mymzWwNdB3afN91EMgCPO1ykcYNPpLc1', 1500, 1500, '/srv/mail/lake/henri/Maildir', '/srv/mail/lake/henri', 'local', 0, 0, 0, 0, 0, NULL, 0, 0, 'Henri'), -- disabled: does not fall to the catch-all
  (17, 2, 'old', 'old@hill.example', '$6$rounds=1000$P8Du3CL5rMzW$gdyEXaC7uFlEr9nvcHiyH0UZ47dISyYig3nETwl1XqcibmFNOp.a/T.yvQ.DqxVOyRD4sW.GgFA6lYNxJ8AA6.', 1500, 1500, 'agnes@hill.example', 'agnes@hill.example', 'alias', 0, 0, 0, 0, 0, NULL, 0, 0, 'Old'), -- a disabled alias
  (18, 4, 'robin', 'robin@relay.example', '$6$rounds=1000$OOow59x.zGky$hix8BCdA113BAmctdsYxFUSTT1IRCI9tZfCaT7JKBWGG7l7KW7gZcOe4joDR581UuHHxL15zt6TDhNg0kYgjt/', 1500, 1500, '/var/vmail/relay.example/robin/Maildir', '/var/vmail/relay.example/robin', 'local', 0, 0, 0, 0, 1, NULL, 0, 0, 'Robin'); -- in a domain that is not kept here

INSERT INTO domainalias (domain_id, alias) VALUES
  (2, 'twin.example');

INSERT INTO "groups" (id, domain_id, name, is_public, enabled) VALUES
  (1, 2, 'choir', 'Y', 1),
  (2, 2, 'board', 'N', 1), -- for the mail of its members alone
  (3, 2, 'closed', 'Y', 0),
  (4, 2, 'Staff', 'Y', 1); -- a capital

INSERT INTO group_contents (group_id, member_id) VALUES
  (1, 2),
  (1, 3),
  (1, 5), -- a disabled member gets nothing
  (2, 2),
  (3, 2),
  (4, 3);
