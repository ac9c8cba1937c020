-- The tables of mailcow: dockerized, with rows that a reader can mistake.
-- Unless a comment says otherwise, the password of NAME@... is "NAME opens".

-- [mysql]
CREATE TABLE domain (
  domain varchar(255) NOT NULL,
  description varchar(255),
  aliases int(10) NOT NULL DEFAULT '0',
  mailboxes int(10) NOT NULL DEFAULT '0',
  defquota bigint(20) NOT NULL DEFAULT '3072',
  maxquota bigint(20) NOT NULL DEFAULT '102400',
  quota bigint(20) NOT NULL DEFAULT '102400',
  backupmx tinyint(1) NOT NULL DEFAULT '0',
  created datetime(0) NOT NULL DEFAULT NOW(0),
  modified datetime ON UPDATE CURRENT_TIMESTAMP,
  active tinyint(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC;
CREATE TABLE mailbox (
  username varchar(255) NOT NULL,
  password varchar(255) NOT NULL,
  name varchar(255),
  mailbox_path_prefix varchar(150) DEFAULT '/var/vmail/',
  quota bigint(20) NOT NULL DEFAULT '102400',
  local_part varchar(255) NOT NULL,
  domain varchar(255) NOT NULL,
  attributes JSON,
  custom_attributes JSON NOT NULL DEFAULT ('{}'),
  kind varchar(100) NOT NULL DEFAULT '',
  multiple_bookings int NOT NULL DEFAULT -1,
  authsource ENUM('mailcow', 'keycloak', 'generic-oidc', 'ldap') DEFAULT 'mailcow',
  created datetime(0) NOT NULL DEFAULT NOW(0),
  modified datetime ON UPDATE CURRENT_TIMESTAMP,
  active tinyint(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (username),
  KEY domain (domain),
  KEY kind (kind)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC;
CREATE TABLE app_passwd (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name varchar(255) NOT NULL,
  mailbox varchar(255) NOT NULL,
  domain varchar(255) NOT NULL,
  password varchar(255) NOT NULL,
  imap_access tinyint(1) NOT NULL DEFAULT '1',
  smtp_access tinyint(1) NOT NULL DEFAULT '1',
  active tinyint(1) NOT NULL DEFAULT '1',
  KEY mailbox (mailbox)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC;
CREATE TABLE alias (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  address varchar(255) NOT NULL,
  goto text NOT NULL,
  domain varchar(255) NOT NULL,
  created datetime(0) NOT NULL DEFAULT NOW(0),
  modified datetime ON UPDATE CURRENT_TIMESTAMP,
  sogo_visible tinyint(1) NOT NULL DEFAULT '1',
  internal tinyint(1) NOT NULL DEFAULT '0',
  sender_allowed tinyint(1) NOT NULL DEFAULT '1',
  active tinyint(1) NOT NULL DEFAULT '1',
  UNIQUE KEY address (address),
  KEY domain (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC;
CREATE TABLE alias_domain (
  alias_domain varchar(255) NOT NULL PRIMARY KEY,
  target_domain varchar(255) NOT NULL,
  created datetime(0) NOT NULL DEFAULT NOW(0),
  modified datetime ON UPDATE CURRENT_TIMESTAMP,
  active tinyint(1) NOT NULL DEFAULT '1',
  KEY active (active),
  KEY target_domain (target_domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC;
CREATE TABLE spamalias (
  address varchar(255) NOT NULL PRIMARY KEY,
  goto text NOT NULL,
  description text NOT NULL,
  validity int(11),
  permanent tinyint(1) NOT NULL DEFAULT '0'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE tfa (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  key_id varchar(255) NOT NULL,
  username varchar(255) NOT NULL,
  authmech ENUM('yubi_otp', 'u2f', 'hotp', 'totp', 'webauthn'),
  secret varchar(255) DEFAULT NULL,
  active tinyint(1) NOT NULL DEFAULT '0'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- [rows]
INSERT INTO domain (domain, backupmx, active) VALUES
  ('hill.example', 0, 1),
  ('moor.example', 0, 0), -- inactive
  ('spare.example', 1, 1), -- this host is a backup MX
  ('lake.example', 0, 1);

INSERT INTO mailbox (username, password, name, mailbox_path_prefix, quota, local_part, domain, attributes, kind, authsource, active) VALUES
  ('agnes@hill.example', '{BLF-CRYPT}$2y$04$3C8gEDYcueEay6ryDc1FlOOe6dUzRKS5I0jpj.AT4lfKo1gxz7AuG', 'Agnes Hill', '/var/vmail/', 5368709120, 'agnes', 'hill.example', '{"imap_access": "1", "pop3_access": "1", "smtp_access": "1", "sieve_access": "1", "sogo_access": "1"}', '', 'mailcow', 1), -- 5 GiB
  ('boris@hill.example', '{SSHA256}N7E3Ao1KwYI1bkVIgkw5lQ3XchydaLISR8KtuK9ZiuCnmn9qx8A5GQ==', 'Boris', '/srv/vmail/', 0, 'boris', 'hill.example', '{"imap_access": "0", "pop3_access": "1", "smtp_access": "1", "sieve_access": "0", "sogo_access": "0"}', '', 'mailcow', 1), -- no IMAP, no Sieve, no webmail; another folder
  ('clara@hill.example', '$6$rounds=1000$zIHsyKV1b0y5$KS0zWGDxSSaSl26FGUsLCF7RC3tTEJ6i6pEsN/Q8bi0e66vd6XxUYhO5HlL3PqlY7JW.JM2B0.HBLomk4Fcvg1', 'Clara', '/var/vmail/', 0, 'clara', 'hill.example', '{"imap_access": "1", "pop3_access": "1", "smtp_access": "1", "sieve_access": "1", "sogo_access": "1"}', '', 'mailcow', 1), -- a second factor that is not active
  ('dario@hill.example', '$6$rounds=1000$kUNlZAebkIDn$pvnw0DO0D9iNvmzlG5iVSfSzBlUYT7ThDY1mTD3lAmLWhVlY8delBKJBwgf9NZZICWk.zbZKR05dat/Ixnz8q0', 'Dario', '/var/vmail/', 0, 'dario', 'hill.example', '{"imap_access": "1"}', '', 'mailcow', 0), -- inactive
  ('elsa@hill.example', '$6$rounds=1000$SnAnH4YVw7et$dI6m4oxdVE1k0S9iAQsJgPX2sZiw6k8yfvGO3KljnbKyMci8gEsS5B9SSi4pMVi4WhcVFVzd5vmYjP3fBAlAJ/', 'Elsa', '/var/vmail/', 0, 'elsa', 'hill.example', '{"imap_access": "1"}', '', 'mailcow', 2), -- may not log in
  ('felix@hill.example', '$6$rounds=1000$1Fi9OXJOPbak$wJ.88Q46cfnVXH2oba6hZeV1Ty9VDC/2elNJdKaj2dqjDz7h5xwY/p6MUh6/G2SFyrif/z6YRbioNvpdMkN/x/', NULL, '/var/vmail/', 0, 'felix', 'hill.example', NULL, '', 'mailcow', 1), -- no attributes and no name
  ('greta@moor.example', '$6$rounds=1000$kvmfC4EAqz3x$FaeM21/3t3NMYn00A1OgbcvnPtZy5/9V6GFG9C.cfVyP0Vq.1Pkyzve5Ew7STVJFMu7.QFICGlERzhGdOrzYZ/', 'Greta', '/var/vmail/', 0, 'greta', 'moor.example', '{}', '', 'mailcow', 1),
  ('henri@hill.example', '$6$rounds=1000$hz4OOYugFTgl$oPzg0bNqaXVM.kUHwntK8tk2pl/XvmXLBhRRkSOqD7bQUSloD3.nHb5z1IdNMAT66NAQVfkiNMvY45UOOPGIK.', 'Henri', '/var/vmail/', 0, 'henri', 'hill.example', '{}', '', 'mailcow', 1), -- a second factor that is active
  ('iris@lake.example', '$6$rounds=1000$RoNX/8Aa4v4.$L9ErIMUMmP03H.PXz4Cv2NRVRJ9KCnfzRTeltT4xIP0pbWK./zO8AFSgVf7twCE6/tYFGMISLxxlsRjA9VI4L.', 'Iris', '/var/vmail/', 0, 'iris', 'lake.example', '{}', '', 'mailcow', 1),
  ('jonas@hill.example', '$6$rounds=1000$uqys3puiriOf$iJFeFAXahlcsw.Gtl2UTA0lYx7UQXeFmddV.fnS6lyARI.rToD//N0e6MhrvUc6SsLchymTY4Bl/6jxgBzv3T0', 'Jonas', '/var/vmail/', 0, 'jonas', 'hill.example', '{}', '', 'ldap', 1), -- his password is at an LDAP server
  ('room@hill.example', 'RESOURCE', 'Room', '/var/vmail/', 0, 'room', 'hill.example', '{}', 'location', 'mailcow', 1), -- a resource
  ('karla@hill.example', '$6$rounds=1000$.h5yvn1n36YG$LTq4ZkknBC.xe87ozDuJKp.ipTPVcZoS6z50O6ebnZ68kVNY1/ZwzvsyTx2ndRDpydH.nXqhsu5Q36GKTU0pZ.', 'Karla', '/var/vmail/', 0, 'karla', 'hill.example', '{"smtp_access": "0"}', '', 'mailcow', 1), -- what is not mentioned is permitted
  ('liam@spare.example', '$6$rounds=1000$kUE/P0k7.WWv$pLxWxzAzCKljWi4HfrHtu25UPD3N7CO7EdsZcmVYif4t.13w//8OKDw73lpnZjPzKJOPVpkmTajG/lz5bUCws/', 'Liam', '/var/vmail/', 0, 'liam', 'spare.example', '{}', '', 'mailcow', 1);

INSERT INTO alias (address, goto, domain, internal, active) VALUES
  ('agnes@hill.example', 'agnes@hill.example', 'hill.example', 0, 1), -- itself
  ('boris@hill.example', 'boris@hill.example,boris@far.example', 'hill.example', 0, 1), -- kept and forwarded
  ('dario@hill.example', 'dario@hill.example', 'hill.example', 0, 0),
  ('elsa@hill.example', 'elsa@hill.example', 'hill.example', 0, 2),
  ('iris@lake.example', 'iris@lake.example', 'lake.example', 0, 1),
  ('info@hill.example', 'agnes@hill.example,boris@hill.example', 'hill.example', 0, 1),
  ('quiet@hill.example', 'agnes@hill.example', 'hill.example', 0, 2), -- hidden, and active
  ('old@hill.example', 'agnes@hill.example', 'hill.example', 0, 0),
  ('noreply@hill.example', 'null@localhost', 'hill.example', 0, 1), -- discarded
  ('inside@hill.example', 'agnes@hill.example', 'hill.example', 1, 1), -- for senders of this host
  ('@lake.example', 'iris@lake.example', 'lake.example', 0, 1); -- catch-all

INSERT INTO alias_domain (alias_domain, target_domain, active) VALUES
  ('twin.example', 'hill.example', 1),
  ('gone.example', 'hill.example', 0);

INSERT INTO spamalias (address, goto, description, validity, permanent) VALUES
  ('t1.now@hill.example', 'agnes@hill.example', '', 2145000000, 0), -- until December 2037
  ('t2.past@hill.example', 'agnes@hill.example', '', 1400000000, 0), -- past
  ('t3.ever@hill.example', 'agnes@hill.example', '', 0, 1), -- permanent
  ('t4.null@hill.example', 'agnes@hill.example', '', NULL, 0);

INSERT INTO app_passwd (name, mailbox, domain, password) VALUES
  ('phone', 'henri@hill.example', 'hill.example', '$6$rounds=1000$ogaSDQiM.7aC$l9mpi3WT8gGOQPcXhtG4TDQ0AoWlvs1ngFrCnMd3133Q4AlV5CIuFRr/ff1hQolXKq/pN44z/Q3fKiR.EpZ7W1');

INSERT INTO tfa (key_id, username, authmech, secret, active) VALUES
  ('phone', 'henri@hill.example', 'totp', 'KRSXG5CTMVRXEZLU', 1),
  ('lost', 'clara@hill.example', 'totp', 'KRSXG5CTMVRXEZLU', 0);
