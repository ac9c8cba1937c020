-- The tables of PostfixAdmin 4 (database version 1856), with rows that a reader can mistake.
-- Unless a comment says otherwise, the password of NAME@... is "NAME opens".

-- [mysql]
CREATE TABLE domain (
  domain varchar(255) NOT NULL,
  description varchar(255) CHARACTER SET utf8mb4 NOT NULL DEFAULT '',
  aliases int(10) NOT NULL DEFAULT 0,
  mailboxes int(10) NOT NULL DEFAULT 0,
  maxquota bigint(20) NOT NULL DEFAULT 0,
  quota bigint(20) NOT NULL DEFAULT 0,
  transport varchar(255) NOT NULL DEFAULT 'virtual',
  backupmx tinyint(1) NOT NULL DEFAULT 0,
  created datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  modified datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  active tinyint(1) NOT NULL DEFAULT 1,
  password_expiry int DEFAULT 0,
  PRIMARY KEY (domain)
) ENGINE=InnoDB CHARACTER SET latin1 COLLATE latin1_general_ci;
CREATE TABLE mailbox (
  username varchar(255) NOT NULL,
  password varchar(255) NOT NULL,
  name varchar(255) CHARACTER SET utf8mb4 NOT NULL DEFAULT '',
  maildir varchar(255) NOT NULL,
  quota bigint(20) NOT NULL DEFAULT 0,
  local_part varchar(255) NOT NULL,
  domain varchar(255) NOT NULL,
  created datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  modified datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  active tinyint(1) NOT NULL DEFAULT 1,
  phone varchar(30) CHARACTER SET utf8mb4 NOT NULL DEFAULT '',
  password_expiry datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  totp_secret varchar(255) DEFAULT NULL,
  smtp_active tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (username),
  KEY domain (domain)
) ENGINE=InnoDB CHARACTER SET latin1 COLLATE latin1_general_ci;
CREATE TABLE alias (
  address varchar(255) NOT NULL,
  goto text NOT NULL,
  domain varchar(255) NOT NULL,
  description varchar(255) CHARACTER SET utf8mb4 NOT NULL DEFAULT '',
  created datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  modified datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  active tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (address),
  KEY domain (domain)
) ENGINE=InnoDB CHARACTER SET latin1 COLLATE latin1_general_ci;
CREATE TABLE alias_domain (
  alias_domain varchar(255) NOT NULL DEFAULT '',
  target_domain varchar(255) NOT NULL DEFAULT '',
  active tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (alias_domain),
  KEY active (active),
  KEY target_domain (target_domain)
) ENGINE=InnoDB CHARACTER SET latin1 COLLATE latin1_general_ci;
CREATE TABLE mailbox_app_password (
  id int(11) NOT NULL AUTO_INCREMENT PRIMARY KEY,
  username varchar(255),
  description varchar(255),
  password_hash varchar(255)
) ENGINE=InnoDB CHARACTER SET latin1 COLLATE latin1_general_ci;

-- [postgres]
CREATE TABLE domain (
  domain varchar(255) PRIMARY KEY,
  description varchar(255) NOT NULL DEFAULT '',
  aliases integer NOT NULL DEFAULT 0,
  mailboxes integer NOT NULL DEFAULT 0,
  maxquota bigint NOT NULL DEFAULT 0,
  quota bigint NOT NULL DEFAULT 0,
  transport varchar(255),
  backupmx boolean NOT NULL DEFAULT false,
  created timestamp with time zone DEFAULT now(),
  modified timestamp with time zone DEFAULT now(),
  active boolean NOT NULL DEFAULT true,
  password_expiry int DEFAULT 0
);
CREATE TABLE mailbox (
  username varchar(255) PRIMARY KEY,
  password varchar(255) NOT NULL DEFAULT '',
  name varchar(255) NOT NULL DEFAULT '',
  maildir varchar(255) NOT NULL DEFAULT '',
  quota bigint NOT NULL DEFAULT 0,
  created timestamp with time zone DEFAULT now(),
  modified timestamp with time zone DEFAULT now(),
  active boolean NOT NULL DEFAULT true,
  domain varchar(255) REFERENCES domain (domain),
  local_part varchar(255) NOT NULL,
  phone varchar(30) NOT NULL DEFAULT '',
  password_expiry timestamp with time zone DEFAULT '2000-01-01',
  totp_secret varchar(255) DEFAULT NULL,
  smtp_active boolean NOT NULL DEFAULT true
);
CREATE INDEX mailbox_username_active ON mailbox (username, active);
CREATE TABLE alias (
  address varchar(255) PRIMARY KEY,
  goto text NOT NULL,
  domain varchar(255) NOT NULL REFERENCES domain (domain),
  created timestamp with time zone DEFAULT now(),
  modified timestamp with time zone DEFAULT now(),
  active boolean NOT NULL DEFAULT true,
  description varchar(255) NOT NULL DEFAULT ''
);
CREATE INDEX alias_address_active ON alias (address, active);
CREATE TABLE alias_domain (
  alias_domain varchar(255) NOT NULL PRIMARY KEY REFERENCES domain (domain) ON DELETE CASCADE,
  target_domain varchar(255) NOT NULL REFERENCES domain (domain) ON DELETE CASCADE,
  active boolean NOT NULL DEFAULT true
);
CREATE TABLE mailbox_app_password (
  id serial PRIMARY KEY,
  username varchar(255),
  description varchar(255),
  password_hash varchar(255)
);

-- [sqlite]
CREATE TABLE domain (
  domain varchar(255) NOT NULL,
  description varchar(255) NOT NULL DEFAULT '',
  aliases int(11) NOT NULL DEFAULT 0,
  mailboxes int(11) NOT NULL DEFAULT 0,
  maxquota bigint(20) NOT NULL DEFAULT 0,
  quota bigint(20) NOT NULL DEFAULT 0,
  transport varchar(255) NOT NULL,
  backupmx tinyint(1) NOT NULL DEFAULT '0',
  created datetime NOT NULL DEFAULT '2000-01-01',
  modified datetime NOT NULL DEFAULT '2000-01-01',
  active tinyint(1) NOT NULL DEFAULT '1',
  password_expiry int DEFAULT 0,
  PRIMARY KEY (domain)
);
CREATE TABLE mailbox (
  username varchar(255) NOT NULL,
  password varchar(255) NOT NULL,
  name varchar(255) NOT NULL,
  maildir varchar(255) NOT NULL,
  quota bigint(20) NOT NULL DEFAULT 0,
  local_part varchar(255) NOT NULL,
  domain varchar(255) NOT NULL,
  created datetime NOT NULL DEFAULT '2000-01-01',
  modified datetime NOT NULL DEFAULT '2000-01-01',
  active tinyint(1) NOT NULL DEFAULT '1',
  phone varchar(30) NOT NULL DEFAULT '',
  password_expiry datetime NOT NULL DEFAULT '2000-01-01',
  totp_secret varchar(255) DEFAULT NULL,
  smtp_active tinyint(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (username)
);
CREATE TABLE alias (
  address varchar(255) NOT NULL,
  goto text NOT NULL,
  domain varchar(255) NOT NULL,
  created datetime NOT NULL DEFAULT '2000-01-01',
  modified datetime NOT NULL DEFAULT '2000-01-01',
  active tinyint(1) NOT NULL DEFAULT '1',
  description varchar(255) NOT NULL DEFAULT '',
  PRIMARY KEY (address)
);
CREATE TABLE alias_domain (
  alias_domain varchar(255) NOT NULL,
  target_domain varchar(255) NOT NULL,
  active tinyint(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (alias_domain)
);
CREATE TABLE mailbox_app_password (
  id integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  username varchar(255),
  description varchar(255),
  password_hash varchar(255)
);

-- [rows]
INSERT INTO domain (domain, transport, backupmx, active, password_expiry) VALUES
  ('ALL', '', FALSE, TRUE, 0), -- not a domain: old versions keep this row
  ('hill.example', 'virtual', FALSE, TRUE, 0),
  ('lake.example', 'virtual', FALSE, TRUE, 0),
  ('moor.example', 'virtual', FALSE, FALSE, 0), -- switched off
  ('spare.example', 'relay:[mx1.spare.example]', TRUE, TRUE, 0), -- this host is a backup MX
  ('twin.example', 'virtual', FALSE, TRUE, 0), -- an alias domain has a row here too
  ('gone.example', 'virtual', FALSE, TRUE, 0), -- an alias domain that is switched off
  ('wide.example', 'virtual', FALSE, TRUE, 0),
  ('term.example', 'virtual', FALSE, TRUE, 90); -- passwords expire after 90 days

INSERT INTO mailbox (username, password, name, maildir, quota, local_part, domain, active, smtp_active, password_expiry) VALUES
  ('agnes@hill.example', '$6$rounds=1000$5udPkzhiWuDW$mkRLk9YBPdWVkaOv481YOQxC467XoLIXiVZrWRbQQfUasF1/WNBSTp96x1lXVTvbCuRSQwBWQQnp0tPoq/TdK0', 'Agnes Hill', 'hill.example/agnes/', 204800000, 'agnes', 'hill.example', TRUE, TRUE, '2001-01-01 00:00:00'), -- past, in a domain without expiry
  ('boris@hill.example', '{BLF-CRYPT}$2y$04$2kBxGyrlkQ3mUM3Gd9veLOn4J3Xt5VBDYtYBco4nYBV4T7vrQ94iO', 'Boris', 'hill.example/boris/', 0, 'boris', 'hill.example', TRUE, TRUE, '2000-01-01 00:00:00'), -- no limit
  ('clara@hill.example', '$1$PpyxC6pa$d3d8XahBU0NwEl4OK8Jws/', '', 'hill.example/clara@hill.example/', -1, 'clara', 'hill.example', TRUE, TRUE, '2000-01-01 00:00:00'), -- a negative quota is none
  ('dario@hill.example', '{SSHA512}Q9aD9DLgjMCY5OahcmHlOm+26Ky7VOpsjVZZ2PcjOVB2lGMwkaIMwY2y2rDH5LQ7e2mqHZGT4ncgvxQHw4ljY2Lfd3FGHj7Q', 'Dario', 'hill.example/dario/', 10240000, 'dario', 'hill.example', FALSE, TRUE, '2000-01-01 00:00:00'), -- inactive
  ('elsa@hill.example', '611eb7c6d3890a9be38a6dfc70553b0b', 'Elsa', 'hill.example/elsa', 0, 'elsa', 'hill.example', TRUE, TRUE, '2000-01-01 00:00:00'), -- no slash at the end
  ('Felix@Hill.example', '{SHA512-CRYPT}$6$rounds=1000$wDCtqSCrTY5F$qWmoqR4XHFDKJWkaIHapBVclSAlO.4dhuEpg.tlimOdbPPp4kaq5zlu7vGxFCSSlT3cZdIS64UlR0ogwSLjjq/', 'Felix', 'Hill.example/Felix/', 0, 'Felix', 'hill.example', TRUE, TRUE, '2000-01-01 00:00:00'), -- capitals
  ('greta@moor.example', '{SHA256-CRYPT}$5$rounds=1000$VBpz1XkE4JYJ$y7GaRfCeoSZVvc3sfXuPJaAQkZOVoUCoiZJJnkdtYTB', 'Greta', 'moor.example/greta/', 0, 'greta', 'moor.example', TRUE, TRUE, '2000-01-01 00:00:00'),
  ('henri@hill.example', '{SSHA256}sXS/DykAz7QnIAonkp1xkt0bKIFwW2fgIKQDZfmFaNtKt63lji5UOA==', 'Henri', 'hill.example/henri/', 0, 'henri', 'hill.example', TRUE, FALSE, '2000-01-01 00:00:00'), -- may not send
  ('iris@lake.example', '{ARGON2ID}$argon2id$v=19$m=256,t=1,p=1$bkVKa3NXSUF0LnFoNVNqLg$7B15meFqUEXByEBEzh9zXUzd3lJaRwYHWrS1saKQpRY', 'Iris', 'lake.example/iris/', 0, 'iris', 'lake.example', TRUE, TRUE, '2000-01-01 00:00:00'),
  ('jonas@hill.example', '{SHA512-CRYPT.B64}JDYkcm91bmRzPTEwMDAkalNaTkE4VHkuVzQ0JEJmQUpWTXZmLzBBOWJiT0RVUVJNbkJSUm9qc0FjdnlOenRiUFpUbGxrZU1KZ2R5ckw4WXVmNU53V0IwM1FxZ0ExSThKNHk1c2gxbzZvRktiVWZyNnkv', 'Jonáš Σ', 'hill.example/jonas/', 6144000000, 'jonas', 'hill.example', TRUE, TRUE, '2000-01-01 00:00:00'), -- a name beyond latin1, and a quota beyond 32 bits
  ('karla@term.example', '{SSHA}7YJrzHYXMWqBm1w6AEbBEU7sXA0dhyKkNba5CA==', 'Karla', 'term.example/karla/', 0, 'karla', 'term.example', TRUE, TRUE, '2019-06-01 00:00:00'), -- the password has expired
  ('liam@term.example', '{PLAIN}liam opens', 'Liam', 'term.example/liam/', 0, 'liam', 'term.example', TRUE, TRUE, '2037-06-01 00:00:00'), -- it has not
  ('mira@hill.example', '', 'Mira', 'hill.example/mira/', 0, 'mira', 'hill.example', TRUE, TRUE, '2000-01-01 00:00:00'), -- no password
  ('o''neil@hill.example', '$6$rounds=1000$Mtp5.kzhn6XE$mA3HW/ReDA0aIW/Sx0cFWysVJKwllwGlusLk5U49W2VaQGXLKfURQwJnPVr74MNm.m0vaV8v1O6s0nNn6vmgR0', 'O''Neil', 'hill.example/o''neil/', 0, 'o''neil', 'hill.example', TRUE, TRUE, '2000-01-01 00:00:00'), -- a quote in the login
  ('pavel@hill.example', '$5$rounds=1000$pANafm6dVvSa$35QnyD5vxMJJCkQ4PZ4Zip8AOlGloEQ1nOHZfhHOSfD', 'Pavel', 'hill.example/pavel/', 0, 'pavel', 'hill.example', TRUE, TRUE, '2000-01-01 00:00:00'),
  ('robin@spare.example', '$6$rounds=1000$MD7.uebvTT01$fTbyiB9kwep0nX4y83mZ/DAgJ0Paj/WNlYwmjtzxjRaFr.uTkysJhSUxV7q1.ykyueIjSN4hZjsSb8gCw5/6F.', 'Robin', 'spare.example/robin/', 0, 'robin', 'spare.example', TRUE, TRUE, '2000-01-01 00:00:00');

INSERT INTO alias (address, goto, domain, active) VALUES
  ('agnes@hill.example', 'agnes@hill.example', 'hill.example', TRUE), -- each mailbox has a row to itself
  ('boris@hill.example', 'boris@hill.example,boris@far.example', 'hill.example', TRUE), -- kept and forwarded
  ('clara@hill.example', 'clara@far.example', 'hill.example', TRUE), -- forwarded and not kept
  ('dario@hill.example', 'dario@hill.example', 'hill.example', FALSE),
  ('elsa@hill.example', 'elsa@hill.example,', 'hill.example', TRUE), -- itself, and a comma at the end
  ('henri@hill.example', 'henri@hill.example,henri#hill.example@autoreply.far.example', 'hill.example', TRUE), -- the address of the vacation program
  ('greta@moor.example', 'greta@moor.example', 'moor.example', TRUE),
  ('iris@lake.example', 'iris@lake.example', 'lake.example', TRUE),
  ('jonas@hill.example', 'jonas@hill.example', 'hill.example', TRUE),
  ('karla@term.example', 'karla@term.example', 'term.example', TRUE),
  ('pavel@hill.example', 'Pavel@Hill.Example', 'hill.example', TRUE), -- itself, in capitals
  ('info@hill.example', 'agnes@hill.example,boris@hill.example', 'hill.example', TRUE),
  ('sales@hill.example', 'info@hill.example', 'hill.example', TRUE), -- an alias of an alias
  ('press@hill.example', ' agnes@hill.example ,ext@far.example, ,', 'hill.example', TRUE), -- spaces and empty parts
  ('sleep@hill.example', 'agnes@hill.example', 'hill.example', FALSE),
  ('root@hill.example', 'root', 'hill.example', TRUE), -- a local user
  ('pipe@hill.example', '|/usr/local/bin/ticket', 'hill.example', TRUE),
  ('file@hill.example', '/var/mail/archive', 'hill.example', TRUE),
  ('fail@hill.example', ':fail: moved', 'hill.example', TRUE),
  ('mixed@hill.example', 'agnes@hill.example,root', 'hill.example', TRUE), -- an address and a local user
  ('empty@hill.example', '', 'hill.example', TRUE),
  ('ring1@hill.example', 'ring2@hill.example', 'hill.example', TRUE),
  ('ring2@hill.example', 'ring1@hill.example', 'hill.example', TRUE),
  ('ghost@hill.example', 'nobody@hill.example', 'hill.example', TRUE), -- its target does not exist
  ('help@moor.example', 'agnes@hill.example', 'moor.example', TRUE),
  ('@lake.example', 'iris@lake.example', 'lake.example', TRUE), -- catch-all
  ('@wide.example', '@hill.example', 'wide.example', TRUE); -- the old way to alias a domain

INSERT INTO alias_domain (alias_domain, target_domain, active) VALUES
  ('twin.example', 'hill.example', TRUE),
  ('gone.example', 'hill.example', FALSE);

INSERT INTO mailbox_app_password (username, description, password_hash) VALUES
  ('agnes@hill.example', 'phone', '$6$rounds=1000$lONfOUVmE9FX$5XK9clyUiX96kLAq5q5/6mMwktpSR1QSO5zYicYfHKbzk01VgdZdmaCm6YUc6u3hSrUxmGGaznvrXXZusk0KJ0');
