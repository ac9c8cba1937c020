-- The tables of ISPConfig 3.2 and 3.3, with rows that a reader can mistake.
-- Unless a comment says otherwise, the password of NAME@... is "NAME opens".

-- [mysql]
CREATE TABLE mail_domain (
  domain_id int(11) unsigned NOT NULL auto_increment,
  server_id int(11) unsigned NOT NULL default '0',
  domain varchar(255) NOT NULL default '',
  relay_host varchar(255) NOT NULL DEFAULT '',
  active enum('n','y') NOT NULL DEFAULT 'n',
  local_delivery enum('n','y') NOT NULL DEFAULT 'y',
  PRIMARY KEY (domain_id),
  KEY server_id (server_id, domain),
  KEY domain_active (domain, active)
) DEFAULT CHARSET=utf8mb4;
CREATE TABLE mail_user (
  mailuser_id int(11) unsigned NOT NULL auto_increment,
  server_id int(11) unsigned NOT NULL default '0',
  email varchar(255) NOT NULL default '',
  login varchar(255) NOT NULL default '',
  password varchar(255) NOT NULL default '',
  name varchar(255) NOT NULL default '',
  uid int(11) NOT NULL default '5000',
  gid int(11) NOT NULL default '5000',
  maildir varchar(255) NOT NULL default '',
  maildir_format varchar(255) NOT NULL default 'maildir',
  quota bigint(20) NOT NULL default '0',
  cc text,
  forward_in_lda enum('n','y') NOT NULL default 'n',
  homedir varchar(255) NOT NULL default '',
  postfix enum('n','y') NOT NULL default 'y',
  access enum('n','y') NOT NULL default 'y',
  disableimap enum('n','y') NOT NULL default 'n',
  disablepop3 enum('n','y') NOT NULL default 'n',
  disabledeliver enum('n','y') NOT NULL default 'n',
  disablesmtp enum('n','y') NOT NULL default 'n',
  disablesieve enum('n','y') NOT NULL default 'n',
  disablelda enum('n','y') NOT NULL default 'n',
  disablelmtp enum('n','y') NOT NULL default 'n',
  last_access int(11) NULL DEFAULT NULL,
  PRIMARY KEY (mailuser_id),
  KEY server_id (server_id, email),
  KEY email_access (email, access)
) DEFAULT CHARSET=utf8mb4;
CREATE TABLE mail_forwarding (
  forwarding_id int(11) unsigned NOT NULL auto_increment,
  server_id int(11) unsigned NOT NULL default '0',
  source varchar(255) NOT NULL DEFAULT '',
  destination text,
  type enum('alias','aliasdomain','forward','catchall') NOT NULL default 'alias',
  active enum('n','y') NOT NULL DEFAULT 'n',
  allow_send_as enum('n','y') NOT NULL DEFAULT 'n',
  PRIMARY KEY (forwarding_id),
  KEY server_id (server_id, source),
  KEY type (type)
) DEFAULT CHARSET=utf8mb4;

-- [rows]
-- The configuration reads server 3; the rows of server 7 are on another host.
INSERT INTO mail_domain (server_id, domain, active, local_delivery) VALUES
  (3, 'hill.example', 'y', 'y'),
  (3, 'moor.example', 'n', 'y'), -- inactive
  (3, 'lake.example', 'y', 'y'),
  (3, 'twin.example', 'y', 'y'), -- an alias domain has a row here too
  (3, 'outside.example', 'y', 'n'), -- its mail is delivered elsewhere
  (7, 'other.example', 'y', 'y'),
  (7, 'hill.example', 'n', 'y'); -- the same domain on the other server

INSERT INTO mail_user (server_id, email, login, password, name, uid, gid, maildir, maildir_format, quota, cc, homedir, postfix, disableimap, disablepop3, disabledeliver, disablesmtp, disablesieve) VALUES
  (3, 'agnes@hill.example', 'agnes@hill.example', '$6$rounds=1000$mK0/DcZ.6pBv$McmV.lhoJqgSGYZgcSWNe8nK8jKGhsSMkOc.tOu9KoRW0TxyFOJWSpuIv4VTym.g76UIhZ3VeD1Qa613vgXFt/', 'Agnes Hill', 5000, 5000, '/var/vmail/hill.example/agnes', 'maildir', 209715200, NULL, '/var/vmail', 'y', 'n', 'n', 'n', 'n', 'n'),
  (3, 'boris@hill.example', 'boris@hill.example', '$1$F6vffEnC$V/o9PVUw6rSHq2x2wPPJv1', 'Boris', 5000, 5000, '/var/vmail/hill.example/boris', 'maildir', 0, '', '/var/vmail', 'y', 'y', 'n', 'n', 'n', 'y'), -- no IMAP, no Sieve; an empty copy
  (3, 'clara@hill.example', 'web1_clara', '$6$rounds=1000$PKR54GWr2vYf$UQ4R/CoJwPQVIlGyAE2HVq3ywWEWafwlutYakBqK5wwoGiCUqUOaA6dlwIIdagdgB.Mt2oHKoPA.r4dWqPEb00', 'Clara', 5001, 5001, '/var/vmail/hill.example/clara', 'maildir', 0, NULL, '/var/vmail', 'y', 'n', 'n', 'n', 'y', 'n'), -- the login is not the address; no SMTP
  (3, 'dario@hill.example', 'dario@hill.example', '$6$rounds=1000$7ziyEceVfb4r$KUHKftF4BKixTPB1hefURE2NgxwNUa.ErqNMvnB95xfVGrT2U0UUbWDJoWAAZGtp4bO2PeDumMzQaSxkbykj7/', 'Dario', 5000, 5000, '/var/vmail/hill.example/dario', 'maildir', -1, 'dario@far.example', '/var/vmail', 'y', 'n', 'n', 'y', 'n', 'n'), -- copies only; a negative quota
  (3, 'elsa@hill.example', 'elsa@hill.example', '$5$rounds=1000$ag3ZHO4S9xv/$16skvVJmKzOIE3/n/Ej2QQlhU3Mn.aU.MF0d9EsJMt.', 'Elsa', 5000, 5000, '/var/vmail/hill.example/elsa', 'maildir', 0, 'elsa@far.example, elsa@farther.example', '/var/vmail', 'y', 'n', 'n', 'n', 'n', 'n'), -- kept and copied
  (3, 'felix@hill.example', 'felix@hill.example', '$6$rounds=1000$S/3ChE2/xb1k$TiXBiOV1sf6xKifZuRhsg9guGwnwuCklCfiOq8dEK2KHFZCkU5qFeZQafZ3kDB1klSbfonlaf14ZRK/4LA30L.', 'Felix', 5000, 5000, '/var/vmail/hill.example/felix', 'maildir', 0, NULL, '/var/vmail', 'n', 'y', 'y', 'n', 'y', 'y'), -- everything is off
  (3, 'greta@moor.example', 'greta@moor.example', '$6$rounds=1000$9.Z9vOGxsdbW$m5TKkuy789vB.RMxvyHp3/nPQ5h0u4ghsbzgkw.cwTPwSqgLQbhRdkw0sQSuaNu/k1Ai24UKnuIvhBJ9WNBmt0', 'Greta', 5000, 5000, '/var/vmail/moor.example/greta', 'maildir', 0, NULL, '/var/vmail', 'y', 'n', 'n', 'n', 'n', 'n'),
  (7, 'henri@other.example', 'henri@other.example', '$6$rounds=1000$PzdEb6r6vrjN$OXnnG1I6x4ZI9tODKO1etRsH9w9oo0F3MVS4TYUQUjGkyVwCX7uDcVgu/pbgbzmCHs9mT4oLEsy2GQ8YPM8001', 'Henri', 5000, 5000, '/var/vmail/other.example/henri', 'maildir', 0, NULL, '/var/vmail', 'y', 'n', 'n', 'n', 'n', 'n'),
  (3, 'iris@lake.example', 'iris@lake.example', '$6$rounds=1000$vmMUKNvZ1dZ8$ij6ejWKCNB0Uy2sZF1yeRxpNwfVQIqtg/0y97X2uhv2MpgSPnrOncZ5bxuWzT/u8Rz1c.pK6bLWa1QQWZYMUw.', 'Iris', 5000, 5000, '/var/vmail/lake.example/iris', 'maildir', 0, NULL, '/var/vmail', 'y', 'n', 'n', 'n', 'n', 'n'),
  (3, 'jonas@hill.example', 'jonas@hill.example', '$6$rounds=1000$OCl7ACEqQiu.$pukwStZFm8/DWjwfezaWYuKxH9/ChtnuuhR56DvNykmw3P2.3SP97tFvToLDMFQPDXahFz.VRpQUuAGMfKWkj.', 'Jonas', 5000, 5000, '/var/vmail/hill.example/jonas', 'mdbox', 0, NULL, '/var/vmail', 'y', 'n', 'n', 'n', 'n', 'n'), -- not a Maildir
  (7, 'agnes@hill.example', 'agnes@hill.example', '$6$rounds=1000$FFCBI1Od20g9$96Vu4Bhdjpaovxw6LiymiDgMZxyYXdQcDv9P0Wq0PuaTgnQtZ3n.T4TKBufbIFV6rCbisBPtqHbFmEqrUFeGS0', 'Agnes', 5000, 5000, '/var/vmail/hill.example/agnes7', 'maildir', 0, NULL, '/var/vmail', 'y', 'n', 'n', 'n', 'n', 'n'), -- the same address on the other server
  (3, 'karla@outside.example', 'karla@outside.example', '$6$rounds=1000$pnhaoHcvs8I.$p7k9n2ArWhHTd/5NEVzneRN3Rrek1U8ozDQGm3AG3nM03vISWqSgT2yEpGNjQGYTwBw/LzNUzkpOsVm5.6X2x1', 'Karla', 5000, 5000, '/var/vmail/outside.example/karla', 'maildir', 0, NULL, '/var/vmail', 'y', 'n', 'n', 'n', 'n', 'n');

INSERT INTO mail_forwarding (server_id, source, destination, type, active) VALUES
  (3, 'info@hill.example', 'agnes@hill.example,boris@hill.example', 'forward', 'y'),
  (3, 'ag@hill.example', 'agnes@hill.example', 'alias', 'y'),
  (3, 'old@hill.example', 'agnes@hill.example', 'alias', 'n'),
  (3, '@lake.example', 'iris@lake.example', 'catchall', 'y'),
  (3, '@twin.example', '@hill.example', 'aliasdomain', 'y'),
  (7, 'sales@other.example', 'henri@other.example', 'alias', 'y'),
  (7, 'ag@hill.example', 'boris@hill.example', 'alias', 'y'), -- the same alias on the other server
  (3, 'lines@hill.example', 'agnes@hill.example
boris@hill.example', 'forward', 'y'); -- old versions part targets by line ends
