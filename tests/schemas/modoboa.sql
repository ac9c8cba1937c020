-- The tables of Modoboa 2, with rows that a reader can mistake.
-- Unless a comment says otherwise, the password of NAME@... is "NAME opens".

-- [mysql]
CREATE TABLE core_user (
  id integer AUTO_INCREMENT PRIMARY KEY,
  password varchar(256) NOT NULL,
  last_login datetime(6) NULL,
  is_superuser tinyint(1) NOT NULL,
  username varchar(254) NOT NULL UNIQUE,
  email varchar(254) NOT NULL,
  first_name varchar(150) NOT NULL,
  last_name varchar(150) NOT NULL,
  is_staff tinyint(1) NOT NULL,
  is_active tinyint(1) NOT NULL,
  is_local tinyint(1) NOT NULL,
  master_user tinyint(1) NOT NULL,
  date_joined datetime(6) NOT NULL,
  totp_enabled tinyint(1) NOT NULL
);
CREATE INDEX core_user_email ON core_user (email);
CREATE TABLE admin_domain (
  id integer AUTO_INCREMENT PRIMARY KEY,
  name varchar(100) NOT NULL UNIQUE,
  quota integer unsigned NOT NULL,
  default_mailbox_quota integer unsigned NOT NULL,
  enabled tinyint(1) NOT NULL,
  type varchar(20) NOT NULL
);
CREATE TABLE admin_domainalias (
  id integer AUTO_INCREMENT PRIMARY KEY,
  name varchar(255) NOT NULL UNIQUE,
  enabled tinyint(1) NOT NULL,
  target_id integer NOT NULL REFERENCES admin_domain (id)
);
CREATE TABLE admin_mailbox (
  id integer AUTO_INCREMENT PRIMARY KEY,
  address varchar(252) NOT NULL,
  quota integer unsigned NOT NULL,
  use_domain_quota tinyint(1) NOT NULL,
  message_limit integer unsigned NULL,
  domain_id integer NOT NULL REFERENCES admin_domain (id),
  user_id integer NOT NULL UNIQUE REFERENCES core_user (id),
  is_send_only tinyint(1) NOT NULL
);
CREATE TABLE admin_alias (
  id integer AUTO_INCREMENT PRIMARY KEY,
  address varchar(254) NOT NULL,
  enabled tinyint(1) NOT NULL,
  internal tinyint(1) NOT NULL,
  description longtext NOT NULL,
  expire_at datetime(6) NULL,
  domain_id integer NULL REFERENCES admin_domain (id),
  UNIQUE (address, internal)
);
CREATE TABLE modoboa_admin_aliasrecipient (
  id integer AUTO_INCREMENT PRIMARY KEY,
  address varchar(254) NOT NULL,
  alias_id integer NOT NULL REFERENCES admin_alias (id),
  r_mailbox_id integer NULL REFERENCES admin_mailbox (id),
  r_alias_id integer NULL REFERENCES admin_alias (id)
);
CREATE INDEX aliasrecipient_alias ON modoboa_admin_aliasrecipient (alias_id);

-- [postgres]
CREATE TABLE core_user (
  id serial PRIMARY KEY,
  password varchar(256) NOT NULL,
  last_login timestamp with time zone NULL,
  is_superuser boolean NOT NULL,
  username varchar(254) NOT NULL UNIQUE,
  email varchar(254) NOT NULL,
  first_name varchar(150) NOT NULL,
  last_name varchar(150) NOT NULL,
  is_staff boolean NOT NULL,
  is_active boolean NOT NULL,
  is_local boolean NOT NULL,
  master_user boolean NOT NULL,
  date_joined timestamp with time zone NOT NULL,
  totp_enabled boolean NOT NULL
);
CREATE INDEX core_user_email ON core_user (email);
CREATE TABLE admin_domain (
  id serial PRIMARY KEY,
  name varchar(100) NOT NULL UNIQUE,
  quota integer NOT NULL,
  default_mailbox_quota integer NOT NULL,
  enabled boolean NOT NULL,
  type varchar(20) NOT NULL
);
CREATE TABLE admin_domainalias (
  id serial PRIMARY KEY,
  name varchar(255) NOT NULL UNIQUE,
  enabled boolean NOT NULL,
  target_id integer NOT NULL REFERENCES admin_domain (id)
);
CREATE TABLE admin_mailbox (
  id serial PRIMARY KEY,
  address varchar(252) NOT NULL,
  quota integer NOT NULL,
  use_domain_quota boolean NOT NULL,
  message_limit integer NULL,
  domain_id integer NOT NULL REFERENCES admin_domain (id),
  user_id integer NOT NULL UNIQUE REFERENCES core_user (id),
  is_send_only boolean NOT NULL
);
CREATE TABLE admin_alias (
  id serial PRIMARY KEY,
  address varchar(254) NOT NULL,
  enabled boolean NOT NULL,
  internal boolean NOT NULL,
  description text NOT NULL,
  expire_at timestamp with time zone NULL,
  domain_id integer NULL REFERENCES admin_domain (id),
  UNIQUE (address, internal)
);
CREATE TABLE modoboa_admin_aliasrecipient (
  id serial PRIMARY KEY,
  address varchar(254) NOT NULL,
  alias_id integer NOT NULL REFERENCES admin_alias (id),
  r_mailbox_id integer NULL REFERENCES admin_mailbox (id),
  r_alias_id integer NULL REFERENCES admin_alias (id)
);
CREATE INDEX aliasrecipient_alias ON modoboa_admin_aliasrecipient (alias_id);

-- [sqlite]
CREATE TABLE core_user (
  id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  password varchar(256) NOT NULL,
  last_login datetime NULL,
  is_superuser bool NOT NULL,
  username varchar(254) NOT NULL UNIQUE,
  email varchar(254) NOT NULL,
  first_name varchar(150) NOT NULL,
  last_name varchar(150) NOT NULL,
  is_staff bool NOT NULL,
  is_active bool NOT NULL,
  is_local bool NOT NULL,
  master_user bool NOT NULL,
  date_joined datetime NOT NULL,
  totp_enabled bool NOT NULL
);
CREATE INDEX core_user_email ON core_user (email);
CREATE TABLE admin_domain (
  id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  name varchar(100) NOT NULL UNIQUE,
  quota integer unsigned NOT NULL,
  default_mailbox_quota integer unsigned NOT NULL,
  enabled bool NOT NULL,
  type varchar(20) NOT NULL
);
CREATE TABLE admin_domainalias (
  id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  name varchar(255) NOT NULL UNIQUE,
  enabled bool NOT NULL,
  target_id integer NOT NULL REFERENCES admin_domain (id)
);
CREATE TABLE admin_mailbox (
  id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  address varchar(252) NOT NULL,
  quota integer unsigned NOT NULL,
  use_domain_quota bool NOT NULL,
  message_limit integer unsigned NULL,
  domain_id integer NOT NULL REFERENCES admin_domain (id),
  user_id integer NOT NULL UNIQUE REFERENCES core_user (id),
  is_send_only bool NOT NULL
);
CREATE TABLE admin_alias (
  id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  address varchar(254) NOT NULL,
  enabled bool NOT NULL,
  internal bool NOT NULL,
  description text NOT NULL,
  expire_at datetime NULL,
  domain_id integer NULL REFERENCES admin_domain (id),
  UNIQUE (address, internal)
);
CREATE TABLE modoboa_admin_aliasrecipient (
  id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  address varchar(254) NOT NULL,
  alias_id integer NOT NULL REFERENCES admin_alias (id),
  r_mailbox_id integer NULL REFERENCES admin_mailbox (id),
  r_alias_id integer NULL REFERENCES admin_alias (id)
);
CREATE INDEX aliasrecipient_alias ON modoboa_admin_aliasrecipient (alias_id);

-- [rows]
INSERT INTO core_user (id, password, last_login, is_superuser, username, email, first_name, last_name, is_staff, is_active, is_local, master_user, date_joined, totp_enabled) VALUES
  (1, '$6$rounds=1000$q2CEb.WA6OUE$A5SjtR1zI6CWSc/mkpE1sv7wuqmw3Yg.knDQUvW/GdLBMgLnUL0Uu8zseeWqtUUR5UgTWUWcTytnUwEQaifXJ.', NULL, TRUE, 'admin', 'admin@hill.example', '', '', TRUE, TRUE, TRUE, FALSE, '2023-05-06 07:08:09', FALSE), -- without a mailbox
  (2, '{SHA512-CRYPT}$6$rounds=1000$nLlUL3tRfUvr$uwujo6pO5qKjf3Ww5jjUsYUjAnaMFEIKrcyId.u2m99Bd0XX..nGLCXpVhorMLRebWbrdF5LSkGRRksKDPg431', '2024-05-06 07:08:09', FALSE, 'agnes@hill.example', 'agnes@hill.example', 'Agnes', 'Hill', FALSE, TRUE, TRUE, FALSE, '2023-05-06 07:08:09', FALSE),
  (3, '{BLF-CRYPT}$2y$04$hOrjE9QVO5VY3IX9whBINOCAtbt/EtjqKzqFrdNVcVRJ.CiHdSO5q', NULL, FALSE, 'boris@hill.example', 'boris@hill.example', '', '', FALSE, TRUE, TRUE, FALSE, '2023-05-06 07:08:09', FALSE),
  (4, '$6$rounds=1000$sL9ZwMFBepUa$ANn2H/VndsYI12ncyAc7XWO5piDEs26huKSmAwZOy5NgYt35V6LZL75tBpoX42waKb2R9NGPC3BXsQaIgGTxA.', NULL, FALSE, 'clara@hill.example', 'clara@hill.example', '', '', FALSE, FALSE, TRUE, FALSE, '2023-05-06 07:08:09', FALSE), -- inactive
  (5, '$6$rounds=1000$svD6VZjSgXs8$8oRiMJ8IenBuDRkAsWh076Yrtdl27bE8SDhB9EJ9/AINLwxfY17//we/xyTp/9F8VLzVfrftz0GTUkfb9a7ZP.', NULL, FALSE, 'dario@hill.example', 'dario@hill.example', '', '', FALSE, TRUE, TRUE, FALSE, '2023-05-06 07:08:09', FALSE), -- only sends
  (6, '$6$rounds=1000$FHv2bKY0ujY9$PzoUcPcMNSTv3vObJgsGpS9JdLONvJxQlt.y2NLghqlYC3sOtKu0ZOfogCIOLi/pXN6aLZt.6j/LrsnofWgE/.', NULL, FALSE, 'elsa@hill.example', 'elsa@hill.example', '', '', FALSE, TRUE, FALSE, FALSE, '2023-05-06 07:08:09', FALSE), -- her password is at an LDAP server
  (7, '$6$rounds=1000$7mYpgRBhC.EX$dx1RCG5tulJHvB3lxCxMT0Ye3EpZ3DD2jPuXmjZp4MM9uK.T9a1GefVoiYUkmryShjSdx4oItBJiIUCZmU4QT.', NULL, FALSE, 'greta@moor.example', 'greta@moor.example', '', '', FALSE, TRUE, TRUE, FALSE, '2023-05-06 07:08:09', FALSE),
  (8, '$6$rounds=1000$M03cJR5Qt.mH$4fJR2ef0U.yH0/uSpoZZhg8cfopM/JmaTRQGI1GI/5YBW0Ae15E/aCzXY4vj0DVg6mDwNN9SiMERETxZrUQ941', NULL, FALSE, 'henri.b', 'henri@hill.example', '', 'Bach', FALSE, TRUE, TRUE, FALSE, '2023-05-06 07:08:09', FALSE), -- the user's name is not the address
  (9, '{PLAIN-MD5}ba310adef62a07e3b23a95daa70ed819', NULL, FALSE, 'iris@lake.example', 'iris@lake.example', '', '', FALSE, TRUE, TRUE, FALSE, '2023-05-06 07:08:09', FALSE),
  (10, '$bcrypt-sha256$v=2,t=2b,r=5$rWLDInhbqvZZ/8CaxO5QfO$GX7rDxw5S2wSxKsnU2HWKXxoWs/66aS', NULL, FALSE, 'jonas@hill.example', 'jonas@hill.example', '', '', FALSE, TRUE, TRUE, FALSE, '2023-05-06 07:08:09', FALSE), -- a hash of passlib
  (11, '$6$rounds=1000$.tfvTXVLaKdL$WSsZEGI40O46ajGV1ru6FaenB2qG6kj0rI0KwQ1kLSKY3IJiPeu7XQSQThrl5.4Q0weOFUeP8AoNsLY9UO9rx0', NULL, FALSE, 'karla@relay.example', 'karla@relay.example', '', '', FALSE, TRUE, TRUE, FALSE, '2023-05-06 07:08:09', FALSE);

INSERT INTO admin_domain (id, name, quota, default_mailbox_quota, enabled, type) VALUES
  (1, 'hill.example', 0, 2048, TRUE, 'domain'),
  (2, 'moor.example', 0, 0, FALSE, 'domain'), -- disabled
  (3, 'relay.example', 0, 0, TRUE, 'relaydomain'),
  (4, 'lake.example', 0, 0, TRUE, 'domain');

INSERT INTO admin_domainalias (id, name, enabled, target_id) VALUES
  (1, 'twin.example', TRUE, 1),
  (2, 'gone.example', FALSE, 1),
  (3, 'moortwin.example', TRUE, 2); -- of the disabled domain

INSERT INTO admin_mailbox (id, address, quota, use_domain_quota, message_limit, domain_id, user_id, is_send_only) VALUES
  (1, 'agnes', 4096, TRUE, 100, 1, 2, FALSE), -- 4 GB; message_limit is of sending
  (2, 'boris', 0, FALSE, NULL, 1, 3, FALSE), -- no limit
  (3, 'clara', 200, FALSE, NULL, 1, 4, FALSE),
  (4, 'dario', 0, FALSE, NULL, 1, 5, TRUE),
  (5, 'elsa', 0, FALSE, NULL, 1, 6, FALSE),
  (6, 'greta', 0, FALSE, NULL, 2, 7, FALSE),
  (7, 'henri', 10, FALSE, NULL, 1, 8, FALSE),
  (8, 'iris', 0, FALSE, NULL, 4, 9, FALSE),
  (9, 'jonas', 0, FALSE, NULL, 1, 10, FALSE),
  (10, 'karla', 0, FALSE, NULL, 3, 11, FALSE);

INSERT INTO admin_alias (id, address, enabled, internal, description, expire_at, domain_id) VALUES
  (1, 'agnes@hill.example', TRUE, TRUE, '', NULL, 1), -- itself
  (2, 'boris@hill.example', TRUE, TRUE, '', NULL, 1), -- itself ...
  (3, 'boris@hill.example', TRUE, FALSE, '', NULL, 1), -- ... and his forward: two rows for an address
  (4, 'info@hill.example', TRUE, FALSE, '', NULL, 1),
  (5, 'old@hill.example', FALSE, FALSE, '', NULL, 1),
  (6, 'fair@hill.example', TRUE, FALSE, '', '2019-06-01 00:00:00', 1), -- expired
  (7, 'later@hill.example', TRUE, FALSE, '', '2036-06-01 00:00:00', 1), -- not expired yet
  (8, '@lake.example', TRUE, FALSE, '', NULL, 4), -- catch-all
  (9, '@twin.example', TRUE, TRUE, '', NULL, 1), -- the alias domain, once more
  (10, 'clara@hill.example', FALSE, TRUE, '', NULL, 1),
  (11, 'iris@lake.example', TRUE, TRUE, '', NULL, 4),
  (12, 'greta@moor.example', TRUE, TRUE, '', NULL, 2),
  (13, 'jonas@hill.example', TRUE, FALSE, '', NULL, 1), -- forwarded and not kept
  (14, 'void@hill.example', TRUE, FALSE, '', NULL, 1); -- without a recipient

INSERT INTO modoboa_admin_aliasrecipient (id, address, alias_id, r_mailbox_id) VALUES
  (1, 'agnes@hill.example', 1, 1),
  (2, 'boris@hill.example', 2, 2),
  (3, 'boris@far.example', 3, NULL),
  (4, 'boris@hill.example', 4, 2),
  (5, 'agnes@hill.example', 4, 1),
  (6, 'agnes@hill.example', 5, 1),
  (7, 'agnes@hill.example', 6, 1),
  (8, 'agnes@hill.example', 7, 1),
  (9, 'iris@lake.example', 8, 8),
  (10, '@hill.example', 9, NULL),
  (11, 'clara@hill.example', 10, 3),
  (12, 'iris@lake.example', 11, 8),
  (13, 'greta@moor.example', 12, 6),
  (14, 'jonas@far.example', 13, NULL);
