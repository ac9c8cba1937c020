-- The tables of froxlor 2, with rows that a reader can mistake.
-- Unless a comment says otherwise, the password of NAME@... is "NAME opens".

-- [mysql]
CREATE TABLE mail_users (
  id int(11) NOT NULL auto_increment,
  email varchar(255) NOT NULL default '',
  username varchar(255) NOT NULL default '',
  password varchar(255) NOT NULL default '',
  password_enc varchar(255) NOT NULL default '',
  uid int(11) NOT NULL default '0',
  gid int(11) NOT NULL default '0',
  homedir varchar(255) NOT NULL default '',
  maildir varchar(255) NOT NULL default '',
  postfix enum('Y','N') NOT NULL default 'Y',
  domainid int(11) NOT NULL default '0',
  customerid int(11) NOT NULL default '0',
  quota bigint(13) NOT NULL default '0',
  pop3 tinyint(1) NOT NULL default '1',
  imap tinyint(1) NOT NULL default '1',
  mboxsize bigint(30) NOT NULL default '0',
  PRIMARY KEY (id),
  UNIQUE KEY email (email)
) ENGINE=InnoDB CHARSET=utf8 COLLATE=utf8_general_ci;
CREATE TABLE mail_virtual (
  id int(11) NOT NULL auto_increment,
  email varchar(255) NOT NULL default '',
  email_full varchar(255) NOT NULL default '',
  destination text,
  domainid int(11) NOT NULL default '0',
  customerid int(11) NOT NULL default '0',
  popaccountid int(11) NOT NULL default '0',
  iscatchall tinyint(1) unsigned NOT NULL default '0',
  description varchar(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  KEY email (email)
) ENGINE=InnoDB CHARSET=utf8 COLLATE=utf8_general_ci;
CREATE TABLE mail_sender_aliases (
  id int(11) NOT NULL auto_increment PRIMARY KEY,
  email varchar(255) NOT NULL,
  allowed_sender varchar(255) NOT NULL,
  UNIQUE KEY email_sender (email, allowed_sender)
) ENGINE=InnoDB CHARSET=utf8 COLLATE=utf8_general_ci;
CREATE TABLE panel_domains (
  id int(11) unsigned NOT NULL auto_increment,
  domain varchar(255) NOT NULL,
  domain_ace varchar(255) NOT NULL default '',
  customerid int(11) unsigned NOT NULL default '0',
  aliasdomain int(11) unsigned NULL,
  isemaildomain tinyint(1) NOT NULL default '0',
  email_only tinyint(1) NOT NULL default '0',
  parentdomainid int(11) NOT NULL default '0',
  deactivated tinyint(1) NOT NULL default '0',
  PRIMARY KEY (id),
  KEY customerid (customerid),
  KEY domain (domain)
) ENGINE=InnoDB CHARSET=utf8 COLLATE=utf8_general_ci;
CREATE TABLE panel_customers (
  customerid int(11) unsigned NOT NULL auto_increment PRIMARY KEY,
  loginname varchar(50) NOT NULL,
  email varchar(255) NOT NULL default '',
  deactivated tinyint(1) NOT NULL default '0',
  UNIQUE KEY loginname (loginname)
) ENGINE=InnoDB CHARSET=utf8 COLLATE=utf8_general_ci;

-- [rows]
INSERT INTO panel_customers (customerid, loginname, email, deactivated) VALUES
  (1, 'web1', 'hill@far.example', 0),
  (2, 'web2', 'dune@far.example', 1); -- deactivated

INSERT INTO panel_domains (id, domain, domain_ace, customerid, aliasdomain, isemaildomain, deactivated) VALUES
  (1, 'hill.example', 'hill.example', 1, NULL, 1, 0),
  (2, 'twin.example', 'twin.example', 1, 1, 0, 0), -- an alias of the web server, not for mail
  (3, 'moor.example', 'moor.example', 1, NULL, 1, 1), -- deactivated
  (4, 'dune.example', 'dune.example', 2, NULL, 1, 0), -- of the deactivated customer
  (5, 'lake.example', 'lake.example', 1, NULL, 1, 0),
  (6, 'xn--bcher-kva.example', 'bücher.example', 1, NULL, 1, 0); -- an internationalised name: the ASCII form counts

INSERT INTO mail_users (id, email, username, password, password_enc, uid, gid, homedir, maildir, postfix, domainid, customerid, quota, pop3, imap) VALUES
  (1, 'agnes@hill.example', 'agnes@hill.example', '', '{BLF-CRYPT}$2y$04$i/WZATkcWyGUB4d4I87YWOxppcb.840hZNmoPcuRongUZBFazZjWG', 2100, 2101, '/var/customers/mail/', 'web1/hill.example/agnes/Maildir/', 'Y', 1, 1, 200, 1, 1), -- 200 MB
  (2, 'boris@hill.example', 'boris@hill.example', '', '{ARGON2ID}$argon2id$v=19$m=256,t=1,p=1$ZVZqUDI2R202OXpWZ1B4Ng$PrWgeDB+pb8F5Qud7kcye2EEK6BWfkzi5KlkyELYf1I', 2100, 2101, '/var/customers/mail/', 'web1/hill.example/boris/Maildir/', 'Y', 1, 1, 0, 0, 1), -- no POP3
  (3, 'clara@hill.example', 'clara@hill.example', '', '$1$N2YOSLHg$YD7PkUz5Qf0LIczKBRP30/', 2100, 2101, '/var/customers/mail/', 'web1/hill.example/clara/Maildir/', 'Y', 1, 1, 0, 1, 0), -- no IMAP; a hash of froxlor 0.9
  (4, 'dario@hill.example', 'dario@hill.example', '', '$5$rounds=1000$IfaddeVYhRwj$8AELpcUVVXGksMGBtu5vQuWVFrrdAy4Z31OenB2JTs3', 2100, 2101, '/var/customers/mail/', 'web1/hill.example/dario/Maildir/', 'N', 1, 1, 0, 1, 1), -- no SMTP
  (5, 'elsa@hill.example', 'elsa@hill.example', '', '$6$rounds=1000$yiRvYMxGVblg$1XPhvKUOwOoRO6rFhmP.Zt1zrtD/FO4AfGpfmOXPMp1lZBZGA9PyPvgZOV7pNnooX/LlcBQI4RbztS9JkIRTn.', 2100, 2101, '/var/customers/mail/', 'web1/hill.example/elsa/Maildir/', 'N', 1, 1, 8192, 0, 0), -- no service at all; 8 GB
  (6, 'Felix@Hill.example', 'Felix@Hill.example', 'felix clear', '$6$rounds=1000$m3Bh5mq6phxg$B13cEA7Bf2O3P7NoHyqqwb57fG4LAfHnASoJEoBVo7BD18VvosNKFsTPo1Zzxcllb94NpnDAvFT0Uw90AyN3a0', 2100, 2101, '/var/customers/mail/', 'web1/hill.example/felix/Maildir/', 'Y', 1, 1, 0, 1, 1), -- capitals, and another password in clear
  (7, 'greta@moor.example', 'greta@moor.example', '', '$6$rounds=1000$qfVqhcihLYK2$p0tX/xQwqmL8bc2MXcYg2euVHMCiFL3FX1vKn2ehjhJOD./3gZvNbMwo0BmOqaR810IhzW0Kuhdgf12lgzQdy0', 2100, 2101, '/var/customers/mail/', 'web1/moor.example/greta/Maildir/', 'Y', 3, 1, 0, 1, 1),
  (8, 'henri@dune.example', 'henri@dune.example', '', '$6$rounds=1000$wadG8aQWQooO$SMU5iZcdE4DngBm0AaF8OK0FV1.LFyCIw/ftfKelM8nhlL.ZGEFJY.LmY4ypTSQVSZkrtT9lrVR/4E1XNQeZM.', 2100, 2101, '/var/customers/mail/', 'web2/dune.example/henri/Maildir/', 'Y', 4, 2, 0, 1, 1), -- his flags are still on
  (9, 'iris@lake.example', 'iris@lake.example', '', '$2y$04$JST/.OvNPYyxapPv1EuY9O63UYuFKogssGxqw8TPVDfkVpON65r56', 2100, 2101, '/var/customers/mail/', 'web1/lake.example/iris/Maildir/', 'Y', 5, 1, 0, 1, 1),
  (10, 'jonas@xn--bcher-kva.example', 'jonas@xn--bcher-kva.example', '', '$6$rounds=1000$I5WEfC141Cae$bttneYVUCrzIzTZKzf0bX3X0MsYTn9chaTa/GTXFNRLlxT6zIFGN45MN7ylZJJYxNwtUYLHx7/bVyqu2Slxi8/', 2100, 2101, '/var/customers/mail/', 'web1/xn--bcher-kva.example/jonas/Maildir/', 'Y', 6, 1, 0, 1, 1),
  (11, 'karla@twin.example', 'karla@twin.example', '', '$6$rounds=1000$6Rp6EVcT30tC$ODXz/CWMmAM1ulyNsXaSYFvSjYB438EAZ1qegn6WQfHrmvAL23A6zjp2hv8272mEM7xDdGW/lJEQlnpQnslls.', 2100, 2101, '/var/customers/mail/', 'web1/twin.example/karla/Maildir/', 'Y', 2, 1, 0, 1, 1); -- left in a domain that has lost its mail

INSERT INTO mail_virtual (email, email_full, destination, domainid, customerid, popaccountid, iscatchall) VALUES
  ('agnes@hill.example', 'agnes@hill.example', 'agnes@hill.example', 1, 1, 1, 0), -- itself
  ('boris@hill.example', 'boris@hill.example', 'boris@hill.example boris@far.example', 1, 1, 2, 0), -- kept and forwarded
  ('clara@hill.example', 'clara@hill.example', '  clara@hill.example', 1, 1, 3, 0), -- itself, after spaces
  ('dario@hill.example', 'dario@hill.example', 'dario@far.example', 1, 1, 4, 0), -- forwarded and not kept
  ('elsa@hill.example', 'elsa@hill.example', 'elsa@hill.example', 1, 1, 5, 0),
  ('info@hill.example', 'info@hill.example', 'agnes@hill.example   boris@hill.example ', 1, 1, 0, 0), -- several spaces
  ('empty@hill.example', 'empty@hill.example', '', 1, 1, 0, 0), -- leads nowhere
  ('blank@hill.example', 'blank@hill.example', '   ', 1, 1, 0, 0),
  ('null@hill.example', 'null@hill.example', NULL, 1, 1, 0, 0),
  ('help@moor.example', 'help@moor.example', 'agnes@hill.example', 3, 1, 0, 0),
  ('henri@dune.example', 'henri@dune.example', 'henri@dune.example', 4, 2, 8, 0),
  ('sales@dune.example', 'sales@dune.example', 'agnes@hill.example', 4, 2, 0, 0), -- of the deactivated customer
  ('iris@lake.example', 'iris@lake.example', 'iris@lake.example', 5, 1, 9, 0),
  ('@lake.example', 'iris@lake.example', 'iris@lake.example', 5, 1, 9, 1); -- a catch-all: email has lost its local part

INSERT INTO mail_sender_aliases (email, allowed_sender) VALUES
  ('agnes@hill.example', '@lake.example');
