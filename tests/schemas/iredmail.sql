-- The tables of iRedMail 1.7, with rows that a reader can mistake.
-- Unless a comment says otherwise, the password of NAME@... is "NAME opens".

-- [mysql]
CREATE TABLE domain (
  domain varchar(255) NOT NULL DEFAULT '',
  description text,
  maxquota bigint(20) NOT NULL DEFAULT 0,
  quota bigint(20) NOT NULL DEFAULT 0,
  transport varchar(255) NOT NULL DEFAULT 'dovecot',
  backupmx tinyint(1) NOT NULL DEFAULT 0,
  settings text,
  created datetime NOT NULL DEFAULT '1970-01-01 01:01:01',
  modified datetime NOT NULL DEFAULT '1970-01-01 01:01:01',
  expired datetime NOT NULL DEFAULT '9999-12-31 00:00:00',
  active tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (domain),
  INDEX (backupmx),
  INDEX (active)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE mailbox (
  username varchar(255) NOT NULL DEFAULT '',
  password varchar(255) NOT NULL DEFAULT '',
  name varchar(255) NOT NULL DEFAULT '',
  mailboxformat varchar(50) NOT NULL DEFAULT 'maildir',
  mailboxfolder varchar(50) NOT NULL DEFAULT 'Maildir',
  storagebasedirectory varchar(255) NOT NULL DEFAULT '',
  storagenode varchar(255) NOT NULL DEFAULT '',
  maildir varchar(255) NOT NULL DEFAULT '',
  quota bigint(20) NOT NULL DEFAULT 0,
  domain varchar(255) NOT NULL DEFAULT '',
  enablesmtp tinyint(1) NOT NULL DEFAULT 1,
  enablesmtpsecured tinyint(1) NOT NULL DEFAULT 1,
  enablepop3 tinyint(1) NOT NULL DEFAULT 1,
  enablepop3secured tinyint(1) NOT NULL DEFAULT 1,
  enableimap tinyint(1) NOT NULL DEFAULT 1,
  enableimapsecured tinyint(1) NOT NULL DEFAULT 1,
  enabledeliver tinyint(1) NOT NULL DEFAULT 1,
  enablelda tinyint(1) NOT NULL DEFAULT 1,
  enablemanagesieve tinyint(1) NOT NULL DEFAULT 1,
  enablemanagesievesecured tinyint(1) NOT NULL DEFAULT 1,
  enablesieve tinyint(1) NOT NULL DEFAULT 1,
  enablesievesecured tinyint(1) NOT NULL DEFAULT 1,
  enablelmtp tinyint(1) NOT NULL DEFAULT 1,
  allow_nets text,
  passwordlastchange datetime NOT NULL DEFAULT '1970-01-01 01:01:01',
  created datetime NOT NULL DEFAULT '1970-01-01 01:01:01',
  modified datetime NOT NULL DEFAULT '1970-01-01 01:01:01',
  expired datetime NOT NULL DEFAULT '9999-12-31 00:00:00',
  active tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (username),
  INDEX (domain),
  INDEX (active)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE alias (
  address varchar(255) NOT NULL DEFAULT '',
  name varchar(255) NOT NULL DEFAULT '',
  accesspolicy varchar(30) NOT NULL DEFAULT '',
  domain varchar(255) NOT NULL DEFAULT '',
  active tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (address),
  INDEX (domain),
  INDEX (active)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE forwardings (
  id bigint(20) unsigned AUTO_INCREMENT,
  address varchar(255) NOT NULL DEFAULT '',
  forwarding varchar(255) NOT NULL DEFAULT '',
  domain varchar(255) NOT NULL DEFAULT '',
  dest_domain varchar(255) NOT NULL DEFAULT '',
  is_maillist tinyint(1) NOT NULL DEFAULT 0,
  is_list tinyint(1) NOT NULL DEFAULT 0,
  is_forwarding tinyint(1) NOT NULL DEFAULT 0,
  is_alias tinyint(1) NOT NULL DEFAULT 0,
  active tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (id),
  UNIQUE INDEX (address, forwarding),
  INDEX (domain)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE alias_domain (
  alias_domain varchar(255) NOT NULL,
  target_domain varchar(255) NOT NULL,
  active tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (alias_domain),
  INDEX (target_domain)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- [postgres]
CREATE TABLE domain (
  domain varchar(255) NOT NULL DEFAULT '' PRIMARY KEY,
  description text NOT NULL DEFAULT '',
  maxquota int8 NOT NULL DEFAULT 0,
  quota int8 NOT NULL DEFAULT 0,
  transport varchar(255) NOT NULL DEFAULT 'dovecot',
  settings text NOT NULL DEFAULT '',
  backupmx int2 NOT NULL DEFAULT 0,
  created timestamp without time zone NOT NULL DEFAULT now(),
  modified timestamp without time zone NOT NULL DEFAULT now(),
  expired timestamp without time zone NOT NULL DEFAULT '9999-12-31 01:01:01',
  active int2 NOT NULL DEFAULT 1
);
CREATE TABLE mailbox (
  username varchar(255) NOT NULL PRIMARY KEY,
  password varchar(255) NOT NULL DEFAULT '',
  name varchar(255) NOT NULL DEFAULT '',
  mailboxformat varchar(50) NOT NULL DEFAULT 'maildir',
  mailboxfolder varchar(50) NOT NULL DEFAULT 'Maildir',
  storagebasedirectory varchar(255) NOT NULL DEFAULT '',
  storagenode varchar(255) NOT NULL DEFAULT '',
  maildir varchar(255) NOT NULL DEFAULT '',
  quota int8 NOT NULL DEFAULT 0,
  domain varchar(255) NOT NULL DEFAULT '',
  enablesmtp int2 NOT NULL DEFAULT 1,
  enablesmtpsecured int2 NOT NULL DEFAULT 1,
  enablepop3 int2 NOT NULL DEFAULT 1,
  enablepop3secured int2 NOT NULL DEFAULT 1,
  enableimap int2 NOT NULL DEFAULT 1,
  enableimapsecured int2 NOT NULL DEFAULT 1,
  enabledeliver int2 NOT NULL DEFAULT 1,
  enablelda int2 NOT NULL DEFAULT 1,
  enablemanagesieve int2 NOT NULL DEFAULT 1,
  enablemanagesievesecured int2 NOT NULL DEFAULT 1,
  enablesieve int2 NOT NULL DEFAULT 1,
  enablesievesecured int2 NOT NULL DEFAULT 1,
  enablelmtp int2 NOT NULL DEFAULT 1,
  allow_nets text DEFAULT NULL,
  passwordlastchange timestamp without time zone NOT NULL DEFAULT now(),
  created timestamp without time zone NOT NULL DEFAULT now(),
  modified timestamp without time zone NOT NULL DEFAULT now(),
  expired timestamp without time zone NOT NULL DEFAULT '9999-12-31 01:01:01',
  active int2 NOT NULL DEFAULT 1
);
CREATE TABLE alias (
  address varchar(255) NOT NULL DEFAULT '' PRIMARY KEY,
  name varchar(255) NOT NULL DEFAULT '',
  accesspolicy varchar(30) NOT NULL DEFAULT '',
  domain varchar(255) NOT NULL DEFAULT '',
  active int2 NOT NULL DEFAULT 1
);
CREATE TABLE forwardings (
  id serial PRIMARY KEY,
  address varchar(255) NOT NULL DEFAULT '',
  forwarding varchar(255) NOT NULL DEFAULT '',
  domain varchar(255) NOT NULL DEFAULT '',
  dest_domain varchar(255) NOT NULL DEFAULT '',
  is_maillist int2 NOT NULL DEFAULT 0,
  is_list int2 NOT NULL DEFAULT 0,
  is_forwarding int2 NOT NULL DEFAULT 0,
  is_alias int2 NOT NULL DEFAULT 0,
  active int2 NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX idx_forwardings_address_forwarding ON forwardings (address, forwarding);
CREATE TABLE alias_domain (
  alias_domain varchar(255) NOT NULL PRIMARY KEY,
  target_domain varchar(255) NOT NULL,
  active int2 NOT NULL DEFAULT 1
);

-- [rows]
INSERT INTO domain (domain, transport, backupmx, active) VALUES
  ('hill.example', 'dovecot', 0, 1),
  ('moor.example', 'dovecot', 0, 0), -- inactive
  ('spare.example', 'relay:[mx1.spare.example]:25', 1, 1), -- this host is a backup MX
  ('lake.example', 'dovecot', 0, 1);

INSERT INTO mailbox (username, password, name, mailboxfolder, storagebasedirectory, storagenode, maildir, quota, domain, allow_nets, active) VALUES
  ('postmaster@hill.example', '{SSHA512}AvyhXXDjwcl3BGX6DcVsVZOIvQwOsyWThPASiDcS7oeW6C0IXZOK1ZKP3Cukn1OrgCIWhkd+k4sHqY3/ueMCJsKsJ9g8il4Z', 'Postmaster', 'Maildir', '/var/vmail', 'vmail1', 'hill.example/p/o/s/postmaster-2023.05.06.07.08.09/', 0, 'hill.example', NULL, 1),
  ('agnes@hill.example', '{SSHA512}pBipP96+hFY6poy98KPwfH46Wi0znr3M20y0HKbAV0a606H23qj2f2jCuMS+tiy2GummTJyPvLMhKUOLkqlyuaEWmWvXWWBH', 'Agnes Hill', 'Maildir', '/var/vmail', 'vmail1', 'hill.example/a/g/n/agnes-2023.05.06.07.08.09/', 4096, 'hill.example', '', 1), -- 4 GB; an empty list of networks is none
  ('boris@hill.example', '$1$KktPiSew$Z3SYfy8iZO2aERvDOuGU91', 'Boris', 'Maildir', '/var/vmail', 'vmail1', 'hill.example/b/o/r/boris-2023.05.06.07.08.09/', 0, 'hill.example', NULL, 1), -- no IMAP
  ('clara@hill.example', '{BLF-CRYPT}$2y$04$AsSY95l0cMl.DJ7d1JusDOw1z/zdwU2Skohz12LpdN5Zl/TLoWWl2', 'Clara', '', '/var/vmail', 'vmail1', 'hill.example/c/l/a/clara-2023.05.06.07.08.09/', 200, 'hill.example', NULL, 1), -- no SMTP; no name of a folder
  ('dario@hill.example', '{PLAIN}dario opens', 'Dario', 'Maildir', '/var/vmail', 'vmail1', 'hill.example/d/a/r/dario-2023.05.06.07.08.09/', 0, 'hill.example', NULL, 0), -- inactive
  ('elsa@hill.example', '{PLAIN-MD5}611eb7c6d3890a9be38a6dfc70553b0b', 'Elsa', 'Maildir', '/var/vmail', 'vmail1', 'Hill.example/E/l/s/Elsa-2011.05.06.07.08.09/', 0, 'hill.example', NULL, 1), -- capitals in an old path
  ('felix@hill.example', '$6$rounds=1000$EyPjHH8UqLjU$qoiR5E8QWhrUodshjDL1v2iO9C6Sl/9D0UL9Tl/O1TbOsI03ySt8I2VuV5qqUvsIvugNTP0dgOvSBfBgdjj7/.', 'Felix', 'Maildir', '/var/vmail', 'vmail1', 'hill.example/f/e/l/felix-2023.05.06.07.08.09/', 0, 'hill.example', NULL, 1), -- receives no mail
  ('greta@moor.example', '$6$rounds=1000$puqtKzzg3KLj$SxvDFDbUbKcF3bn57VkiYwIUqEwHvUM9jiupMshSMiS8CKmaA9Pqb2G1iEBblMLkboucPoQj80aYsYvWoyjKS1', 'Greta', 'Maildir', '/var/vmail', 'vmail1', 'moor.example/g/r/e/greta-2023.05.06.07.08.09/', 0, 'moor.example', NULL, 1),
  ('henri@hill.example', '$6$rounds=1000$9WJ61eSwTw/K$B6FnD6dwF5oAONoTTp782OdbShmK/kSlqnOOOZY.x3c/cl4fgmIPuY1CWD0HdOdA0laFD/Legs7CEk2UlzaMM.', 'Henri', 'Maildir', '/var/vmail', 'vmail1', 'hill.example/h/e/n/henri-2023.05.06.07.08.09/', 0, 'hill.example', '192.0.2.0/24', 1), -- only from a network
  ('iris@lake.example', '$6$rounds=1000$NhYrCPbWqoXU$p0QeCjYCmuh8Yzp2tmIc19StEHFYBOEQzF/GchAjaLviWKxYLiWrV2dVA.E05A4IR6MxDtKvJI8LTxF7F1c1x/', 'Iris', 'Maildir', '/var/vmail', 'vmail1', 'lake.example/i/r/i/iris-2023.05.06.07.08.09/', 0, 'lake.example', NULL, 1),
  ('jonas@spare.example', '$6$rounds=1000$eIDBC/.Uvu8A$/M/6nN/403m0rXSojC9MczCv.NsMNiFhykpwRDNBoc80D9bR9JVOll/HNY7EcnNfKNwQ3khF8n/tNEpwfxiUA1', 'Jonas', 'Maildir', '/var/vmail', 'vmail1', 'spare.example/j/o/n/jonas-2023.05.06.07.08.09/', 0, 'spare.example', NULL, 1),
  ('karla@hill.example', '$6$rounds=1000$qojMSa0HhMuo$0x7NWX4AbzlUNUwLUN95QGDrxuFN0np2uRnzfz.cUaKNOnb6.4vWkuAsOwWcz.ZQS7ie7Rv.gIuXYWhlbIBs1/', 'Karla', 'Maildir', '/var/vmail', 'vmail1', 'hill.example/k/a/r/karla-2023.05.06.07.08.09/', 0, 'hill.example', NULL, 1); -- only over TLS
UPDATE mailbox SET enableimap = 0, enableimapsecured = 0 WHERE username = 'boris@hill.example';
UPDATE mailbox SET enablesmtp = 0, enablesmtpsecured = 0, enablesieve = 0, enablesievesecured = 0 WHERE username = 'clara@hill.example';
UPDATE mailbox SET enabledeliver = 0 WHERE username = 'felix@hill.example';
UPDATE mailbox SET enablesmtp = 0, enablepop3 = 0, enableimap = 0, enablesieve = 0, enablemanagesieve = 0 WHERE username = 'karla@hill.example';

INSERT INTO alias (address, name, accesspolicy, domain, active) VALUES
  ('info@hill.example', 'Info', '', 'hill.example', 1),
  ('members@hill.example', 'Members', 'membersonly', 'hill.example', 1);

INSERT INTO forwardings (id, address, forwarding, domain, dest_domain, is_maillist, is_list, is_forwarding, is_alias, active) VALUES
  (1, 'postmaster@hill.example', 'postmaster@hill.example', 'hill.example', 'hill.example', 0, 0, 1, 0, 1),
  (2, 'agnes@hill.example', 'agnes@hill.example', 'hill.example', 'hill.example', 0, 0, 1, 0, 1), -- itself
  (3, 'boris@hill.example', 'boris@hill.example', 'hill.example', 'hill.example', 0, 0, 1, 0, 1), -- kept ...
  (4, 'boris@hill.example', 'boris@far.example', 'hill.example', 'far.example', 0, 0, 1, 0, 1), -- ... and forwarded
  (5, 'clara@hill.example', 'clara@far.example', 'hill.example', 'far.example', 0, 0, 1, 0, 1), -- forwarded and not kept
  (6, 'dario@hill.example', 'dario@hill.example', 'hill.example', 'hill.example', 0, 0, 1, 0, 0),
  (7, 'info@hill.example', 'boris@hill.example', 'hill.example', 'hill.example', 0, 1, 0, 0, 1),
  (8, 'info@hill.example', 'agnes@hill.example', 'hill.example', 'hill.example', 0, 1, 0, 0, 1),
  (9, 'info@hill.example', 'elsa@hill.example', 'hill.example', 'hill.example', 0, 1, 0, 0, 0), -- one inactive target
  (10, 'members@hill.example', 'agnes@hill.example', 'hill.example', 'hill.example', 0, 1, 0, 0, 1),
  (11, 'ag@hill.example', 'agnes@hill.example', 'hill.example', 'hill.example', 0, 0, 0, 1, 1), -- the alias of an account
  (12, 'old@hill.example', 'agnes@hill.example', 'hill.example', 'hill.example', 0, 0, 0, 1, 0),
  (13, 'talk@hill.example', 'talk@hill.example', 'hill.example', 'hill.example', 1, 0, 0, 0, 1), -- a mailing list
  (14, 'lake.example', 'iris@lake.example', 'lake.example', 'lake.example', 0, 0, 1, 0, 1), -- a catch-all: the bare name of the domain
  (15, 'help@moor.example', 'agnes@hill.example', 'moor.example', 'hill.example', 0, 1, 0, 0, 1),
  (16, 'sales@spare.example', 'agnes@hill.example', 'spare.example', 'hill.example', 0, 1, 0, 0, 1);

INSERT INTO alias_domain (alias_domain, target_domain, active) VALUES
  ('twin.example', 'hill.example', 1),
  ('gone.example', 'hill.example', 0),
  ('relaytwin.example', 'spare.example', 1); -- of a domain that is not kept here
