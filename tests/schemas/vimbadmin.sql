-- The tables of ViMbAdmin 3, with rows that a reader can mistake.
-- Unless a comment says otherwise, the password of NAME@... is "NAME opens".

-- [mysql]
CREATE TABLE domain (
  id bigint(20) NOT NULL AUTO_INCREMENT,
  domain varchar(255) NOT NULL,
  description varchar(255) DEFAULT NULL,
  max_quota bigint(20) NOT NULL DEFAULT '0',
  quota bigint(20) NOT NULL DEFAULT '0',
  transport varchar(255) NOT NULL DEFAULT 'virtual',
  backupmx tinyint(1) NOT NULL DEFAULT '0',
  active tinyint(1) NOT NULL DEFAULT '1',
  homedir varchar(255) DEFAULT NULL,
  maildir varchar(255) DEFAULT NULL,
  uid int(11) DEFAULT NULL,
  gid int(11) DEFAULT NULL,
  created datetime NOT NULL,
  modified datetime DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY IX_Domain_1 (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8 COLLATE=utf8_unicode_ci;
CREATE TABLE mailbox (
  id bigint(20) NOT NULL AUTO_INCREMENT,
  username varchar(255) NOT NULL,
  password varchar(255) NOT NULL,
  name varchar(255) DEFAULT NULL,
  alt_email varchar(255) DEFAULT NULL,
  quota bigint(20) NOT NULL DEFAULT '0',
  local_part varchar(255) NOT NULL,
  active tinyint(1) NOT NULL DEFAULT '0',
  access_restriction varchar(100) NOT NULL DEFAULT 'ALL',
  homedir varchar(255) DEFAULT NULL,
  maildir varchar(255) DEFAULT NULL,
  uid bigint(20) DEFAULT NULL,
  gid bigint(20) DEFAULT NULL,
  delete_pending tinyint(1) DEFAULT '0',
  created datetime NOT NULL,
  modified datetime DEFAULT NULL,
  Domain_id bigint(20) DEFAULT NULL,
  PRIMARY KEY (id),
  KEY IDX_A69FE20B93AE8C46 (Domain_id),
  CONSTRAINT FK_A69FE20B93AE8C46 FOREIGN KEY (Domain_id) REFERENCES domain (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8 COLLATE=utf8_unicode_ci;
CREATE TABLE alias (
  id bigint(20) NOT NULL AUTO_INCREMENT,
  address varchar(255) NOT NULL,
  goto longtext NOT NULL,
  active tinyint(1) NOT NULL DEFAULT '1',
  created datetime NOT NULL,
  modified datetime DEFAULT NULL,
  Domain_id bigint(20) DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY UNIQ_E16C6B94D4E6F81 (address),
  CONSTRAINT FK_E16C6B9493AE8C46 FOREIGN KEY (Domain_id) REFERENCES domain (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8 COLLATE=utf8_unicode_ci;

-- [rows]
INSERT INTO domain (id, domain, transport, backupmx, active, created) VALUES
  (1, 'hill.example', 'virtual', 0, 1, '2023-05-06 07:08:09'),
  (2, 'moor.example', 'virtual', 0, 0, '2023-05-06 07:08:09'), -- inactive
  (3, 'spare.example', 'relay:mx1.spare.example', 1, 1, '2023-05-06 07:08:09'), -- this host is a backup MX
  (4, 'lake.example', 'virtual', 0, 1, '2023-05-06 07:08:09'),
  (5, 'wide.example', 'virtual', 0, 1, '2023-05-06 07:08:09');

INSERT INTO mailbox (id, username, password, name, quota, local_part, active, access_restriction, homedir, maildir, uid, gid, delete_pending, created, Domain_id) VALUES
  (1, 'agnes@hill.example', '{BLF-CRYPT}$2y$04$1gamQm8osTzr58pllnsUGOq9xbm/MNwmNVO2Sq1BKITn.RhESvdWa', 'Agnes', 209715200, 'agnes', 1, 'ALL', '/srv/vmail/hill.example/agnes', 'maildir:/srv/vmail/hill.example/agnes/mail:LAYOUT=fs', 2200, 2200, 0, '2023-05-06 07:08:09', 1),
  (2, 'boris@hill.example', '531032e7d3e21b292688dec7fb2ca3ed', 'Boris', 0, 'boris', 1, 'IMAP,SMTP', '/srv/vmail/hill.example/boris', 'maildir:/srv/vmail/hill.example/boris/mail:LAYOUT=fs', 2200, 2200, 0, '2023-05-06 07:08:09', 1),
  (3, 'clara@hill.example', '$1$klhDCS7q$JyXgVnt9pFVST5tnXxfSd.', 'Clara', 0, 'clara', 1, '', '/srv/vmail/hill.example/clara', 'maildir:/srv/vmail/hill.example/clara/mail:LAYOUT=fs', 2200, 2200, 0, '2023-05-06 07:08:09', 1), -- an empty list permits nothing
  (4, 'dario@hill.example', '$6$rounds=1000$LWLe9U4Ya1g7$6Voxc0k.54k/dqbOHsg6OrShyjUHvOxN94rdvWOCzgi1nsQjerNVoMm0MaDjyk/a4w0Y2TdJqfB8BR7XAg/Xi1', 'Dario', 0, 'dario', 0, 'ALL', '/srv/vmail/hill.example/dario', 'maildir:/srv/vmail/hill.example/dario/mail:LAYOUT=fs', 2200, 2200, 0, '2023-05-06 07:08:09', 1), -- inactive
  (5, 'elsa@hill.example', '$6$rounds=1000$ULrxVVQSrFeM$2ZvIz9Ur7q8NF8wYEMf9bi3g5.fp0yXiQ10EzASRxe.N/D9ZtBl418SRN8eL4itMA/pTQvNjClrJhkrl8GssA0', NULL, 0, 'elsa', 1, 'ALL', '/srv/vmail/hill.example/elsa', 'maildir:/srv/vmail/hill.example/elsa/Maildir', NULL, NULL, NULL, '2023-05-06 07:08:09', 1), -- the user of the configuration; a Maildir without options
  (6, 'felix@hill.example', '$6$rounds=1000$gzS3IDVc4Rui$MEXwsXZoWUyVpiDX/6mqTwbdwh05H1U.iFhUP4ZhuPS3iGTl1yjnBGWsIm2brYwxgMgQ/V.PeRIrJ6bXLZauo/', 'Felix', 0, 'felix', 1, 'ALL', '/srv/vmail/hill.example/felix', 'maildir:/srv/vmail/hill.example/felix/mail:LAYOUT=fs', 2200, 2200, 1, '2023-05-06 07:08:09', 1), -- about to be deleted
  (7, 'greta@moor.example', '$6$rounds=1000$POFjwkNyDfDo$n0KyZ8sJr00a.hgC32o08tDz75nNxJB5NOzjbNRXDvRF3mPIXW0ROj1mCWtqPBmTOIg.oCYOndZL3QdKOoAGw0', 'Greta', 0, 'greta', 1, 'ALL', '/srv/vmail/moor.example/greta', 'maildir:/srv/vmail/moor.example/greta/mail:LAYOUT=fs', 2200, 2200, 0, '2023-05-06 07:08:09', 2),
  (8, 'henri@hill.example', '$6$rounds=1000$dROWDzydudAi$T9No5ONAPa9NqS3Cq3KbX82j0ebfUPC6Gf4/KS0sO4a6vUyXFsQmaDZAarbWLLfha02SF9.npPJlEeS5NPiYI.', 'Henri', 0, 'henri', 1, 'POP3', '/srv/vmail/hill.example/henri', '/srv/vmail/hill.example/henri/mail', 2201, 2201, 0, '2023-05-06 07:08:09', 1), -- a path without maildir:, and a user of his own
  (9, 'iris@lake.example', '$6$rounds=1000$ykidRKv/9Asm$EQXbQhLqFM3BWAdi/tSuZ8NQPBekJPIuJiHrD.RA.4aZjX3Ny2KqTMqM4ohOEyL5.OImi6D9aHy28jhmPnBiL1', 'Iris', 0, 'iris', 1, 'ALL', '/srv/vmail/lake.example/iris', 'maildir:/srv/vmail/lake.example/iris/mail:LAYOUT=fs', 2200, 2200, 0, '2023-05-06 07:08:09', 4),
  (10, 'Jonas@hill.example', '$6$rounds=1000$e8.oSXRxjBZh$rPoo405Gb31EuPE7KA21cGb9DKa8DhSYH22zAT4dZj2p.g84/r7NE8Znb654hLomWUx5FtJb8AyWRpc495ZlM/', 'Jonas', 0, 'jonas', 1, 'ALL', '/srv/vmail/hill.example/jonas', 'maildir:/srv/vmail/hill.example/jonas/mail:LAYOUT=fs', 2200, 2200, 0, '2023-05-06 07:08:09', 1), -- a capital
  (11, 'karla@spare.example', '$6$rounds=1000$eQQOT5lo8uc8$Su7DWgTsL3iy/mrvwFGDjtW0ThNZsPlyBuZIAVpCefU4utRtdgPe59CCrRDcotqfxJTlgimfLUWZTcmIqmCS3.', 'Karla', 0, 'karla', 1, 'ALL', '/srv/vmail/spare.example/karla', 'maildir:/srv/vmail/spare.example/karla/mail:LAYOUT=fs', 2200, 2200, 0, '2023-05-06 07:08:09', 3),
  (12, 'liam@hill.example', '$6$rounds=1000$b2chsjMyav53$6z3RlF9l0k/3wzrLScqS2zScVB.uA9WUG7ZknzrIifSBlEnD95qeDtsXVf6d3YB1..QQoOFhSiNyzZeNa.rLu/', 'Liam', 0, 'liam', 1, 'ALL', '/srv/vmail/hill.example/liam', 'maildir:/srv/vmail/hill.example/liam/mail:LAYOUT=fs', 2200, 2200, 0, '2023-05-06 07:08:09', NULL); -- in no domain

INSERT INTO alias (address, goto, active, created, Domain_id) VALUES
  ('agnes@hill.example', 'agnes@hill.example', 1, '2023-05-06 07:08:09', 1), -- itself
  ('boris@hill.example', 'boris@hill.example, boris@far.example,', 1, '2023-05-06 07:08:09', 1), -- kept and forwarded
  ('info@hill.example', 'agnes@hill.example,boris@hill.example', 1, '2023-05-06 07:08:09', 1),
  ('old@hill.example', 'agnes@hill.example', 0, '2023-05-06 07:08:09', 1),
  ('help@moor.example', 'agnes@hill.example', 1, '2023-05-06 07:08:09', 2),
  ('sales@spare.example', 'agnes@hill.example', 1, '2023-05-06 07:08:09', 3),
  ('@lake.example', 'iris@lake.example', 1, '2023-05-06 07:08:09', 4), -- catch-all
  ('@wide.example', '@hill.example', 1, '2023-05-06 07:08:09', 5); -- a domain for a domain
