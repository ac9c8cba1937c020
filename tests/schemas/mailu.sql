-- The tables of Mailu 2024.06, with rows that a reader can mistake.
-- Unless a comment says otherwise, the password of NAME@... is "NAME opens".

-- [mysql]
CREATE TABLE domain (
  created_at date NOT NULL,
  updated_at date,
  comment varchar(255),
  name varchar(80) NOT NULL PRIMARY KEY,
  max_users integer NOT NULL,
  max_aliases integer NOT NULL,
  max_quota_bytes bigint NOT NULL,
  signup_enabled tinyint(1) NOT NULL
);
CREATE TABLE alternative (
  created_at date NOT NULL,
  updated_at date,
  comment varchar(255),
  name varchar(80) NOT NULL PRIMARY KEY,
  domain_name varchar(80) REFERENCES domain (name)
);
CREATE TABLE relay (
  created_at date NOT NULL,
  updated_at date,
  comment varchar(255),
  name varchar(80) NOT NULL PRIMARY KEY,
  smtp varchar(80)
);
CREATE TABLE "user" (
  created_at date NOT NULL,
  updated_at date,
  comment varchar(255),
  email varchar(255) NOT NULL PRIMARY KEY,
  localpart varchar(80) NOT NULL,
  domain_name varchar(80) REFERENCES domain (name),
  password varchar(255) NOT NULL,
  quota_bytes bigint NOT NULL,
  quota_bytes_used bigint NOT NULL,
  global_admin tinyint(1) NOT NULL,
  enabled tinyint(1) NOT NULL,
  enable_imap tinyint(1) NOT NULL,
  enable_pop tinyint(1) NOT NULL,
  allow_spoofing tinyint(1) NOT NULL,
  forward_enabled tinyint(1) NOT NULL,
  forward_destination varchar(4096),
  forward_keep tinyint(1) NOT NULL,
  displayed_name varchar(160) NOT NULL
);
CREATE TABLE alias (
  created_at date NOT NULL,
  updated_at date,
  comment varchar(255),
  email varchar(255) NOT NULL PRIMARY KEY,
  localpart varchar(80) NOT NULL,
  domain_name varchar(80) REFERENCES domain (name),
  wildcard tinyint(1) NOT NULL,
  destination varchar(4096) NOT NULL,
  hostname varchar(255),
  owner_email varchar(255),
  disabled tinyint(1) NOT NULL
);
CREATE TABLE token (
  created_at date NOT NULL,
  updated_at date,
  comment varchar(255),
  id integer AUTO_INCREMENT PRIMARY KEY,
  user_email varchar(255) NOT NULL,
  password varchar(255) NOT NULL,
  ip varchar(4096)
);

-- [postgres] [sqlite]
CREATE TABLE domain (
  created_at date NOT NULL,
  updated_at date,
  comment varchar(255),
  name varchar(80) NOT NULL PRIMARY KEY,
  max_users integer NOT NULL,
  max_aliases integer NOT NULL,
  max_quota_bytes bigint NOT NULL,
  signup_enabled boolean NOT NULL
);
CREATE TABLE alternative (
  created_at date NOT NULL,
  updated_at date,
  comment varchar(255),
  name varchar(80) NOT NULL PRIMARY KEY,
  domain_name varchar(80) REFERENCES domain (name)
);
CREATE TABLE relay (
  created_at date NOT NULL,
  updated_at date,
  comment varchar(255),
  name varchar(80) NOT NULL PRIMARY KEY,
  smtp varchar(80)
);
CREATE TABLE "user" (
  created_at date NOT NULL,
  updated_at date,
  comment varchar(255),
  email varchar(255) NOT NULL PRIMARY KEY,
  localpart varchar(80) NOT NULL,
  domain_name varchar(80) REFERENCES domain (name),
  password varchar(255) NOT NULL,
  quota_bytes bigint NOT NULL,
  quota_bytes_used bigint NOT NULL,
  global_admin boolean NOT NULL,
  enabled boolean NOT NULL,
  enable_imap boolean NOT NULL,
  enable_pop boolean NOT NULL,
  allow_spoofing boolean NOT NULL,
  forward_enabled boolean NOT NULL,
  forward_destination varchar(4096),
  forward_keep boolean NOT NULL,
  displayed_name varchar(160) NOT NULL
);
CREATE TABLE alias (
  created_at date NOT NULL,
  updated_at date,
  comment varchar(255),
  email varchar(255) NOT NULL PRIMARY KEY,
  localpart varchar(80) NOT NULL,
  domain_name varchar(80) REFERENCES domain (name),
  wildcard boolean NOT NULL,
  destination varchar(4096) NOT NULL,
  hostname varchar(255),
  owner_email varchar(255),
  disabled boolean NOT NULL
);
CREATE TABLE token (
  created_at date NOT NULL,
  updated_at date,
  comment varchar(255),
  id integer NOT NULL PRIMARY KEY,
  user_email varchar(255) NOT NULL,
  password varchar(255) NOT NULL,
  ip varchar(4096)
);

-- [rows]
INSERT INTO domain (created_at, name, max_users, max_aliases, max_quota_bytes, signup_enabled) VALUES
  ('2023-05-06', 'hill.example', -1, -1, 0, FALSE),
  ('2023-05-06', 'lake.example', -1, -1, 0, FALSE),
  ('2023-05-06', 'xn--bcher-kva.example', -1, -1, 0, FALSE); -- an internationalised name, in ASCII

INSERT INTO alternative (created_at, name, domain_name) VALUES
  ('2023-05-06', 'twin.example', 'hill.example');

INSERT INTO relay (created_at, name, smtp) VALUES
  ('2023-05-06', 'relay.example', 'mx1.relay.example');

INSERT INTO "user" (created_at, email, localpart, domain_name, password, quota_bytes, quota_bytes_used, global_admin, enabled, enable_imap, enable_pop, allow_spoofing, forward_enabled, forward_destination, forward_keep, displayed_name) VALUES
  ('2023-05-06', 'agnes@hill.example', 'agnes', 'hill.example', '$bcrypt-sha256$v=2,t=2b,r=5$Tqy87971RasPeVzrbJ8KVO$q7XVSRigjeb5CP5WVS31otbLWX1tuNe', 3000000000, 0, TRUE, TRUE, TRUE, TRUE, FALSE, FALSE, '', TRUE, 'Agnes Hill'), -- the default hash; 3 GB
  ('2023-05-06', 'boris@hill.example', 'boris', 'hill.example', '{BLF-CRYPT}$2y$04$Jnan74enDURvcwrGZHIkYOF1Wz0PgjIP9DmRKA6JdWyd6I669eRRi', 0, 0, FALSE, TRUE, TRUE, FALSE, FALSE, FALSE, NULL, TRUE, ''), -- a hash of old versions; no limit; no POP3
  ('2023-05-06', 'clara@hill.example', 'clara', 'hill.example', '{SHA512-CRYPT}$6$rounds=1000$7KAoIgBPyFza$SGaslRSXjV0jPcLZady4EMkgkyIj0CAyteamHSJQXh78czN4AAaJvlRS6Smuj7NIDzLkvB5WtFaya9ETesVER1', 1000000000, 0, FALSE, TRUE, FALSE, TRUE, FALSE, FALSE, '', TRUE, ''), -- no IMAP
  ('2023-05-06', 'dario@hill.example', 'dario', 'hill.example', '$6$rounds=1000$zLS3Jxs6xB62$qcJOL6KqnJ2.pZQq.XsbWjtdIL9HWqQdaCbO0t9koniaHUxGig99avoNg5KkjzAEWLStGL/F8CatTxisNVOeD.', 1000000000, 0, FALSE, FALSE, TRUE, TRUE, FALSE, FALSE, '', TRUE, ''), -- disabled: no login, but mail
  ('2023-05-06', 'elsa@hill.example', 'elsa', 'hill.example', '$6$rounds=1000$hMz28AUUcJhH$5WyQ/Fcp5UBTkrf3fUYL1veaWArSnT1Fa9KUmx4XiQ0Y0BBUz16.2VgyFPd3uCQc.urLOFbr/lQnWWRb.xGEp1', 1000000000, 0, FALSE, TRUE, TRUE, TRUE, FALSE, TRUE, 'elsa@far.example', TRUE, ''), -- forwarded and kept
  ('2023-05-06', 'felix@hill.example', 'felix', 'hill.example', '$6$rounds=1000$VYau5NAeht2E$Zz4NCfF2TMDT1IB4HCzP5DTVDdxENlFWykZ4.t4UfImi6vgv.AZpolP8oVDqd7KaMPNGMf/iWoH.Aq36r5xQA.', 1000000000, 0, FALSE, TRUE, TRUE, TRUE, FALSE, TRUE, 'felix@far.example, felix@farther.example', FALSE, ''), -- forwarded and not kept
  ('2023-05-06', 'greta@hill.example', 'greta', 'hill.example', '$6$rounds=1000$SzbIseijrLod$otRVY9vzqrrsvWs0l9ev1rEqY7Vs8FlaZGBHtcnWKgdxM3oug6gxq9DpjCDb1enPzrV8EItPdbMyQjkpSqQZY.', 1000000000, 0, FALSE, TRUE, TRUE, TRUE, FALSE, FALSE, 'greta@far.example', FALSE, ''), -- forwarding is off
  ('2023-05-06', 'henri@hill.example', 'henri', 'hill.example', '$6$rounds=1000$ScCMjBpirIgL$xePHq34bhHsV8Pqx/BszpkCmR6swvZjAswTIkOqwRTEODkqArrAOMNKxKwYJ167KfUlqI7Ejx3eQSLPHes90Z1', 1000000000, 0, FALSE, TRUE, TRUE, TRUE, FALSE, TRUE, '', TRUE, ''), -- forwarded nowhere, and kept
  ('2023-05-06', 'iris@lake.example', 'iris', 'lake.example', '$6$rounds=1000$Sks/ACNEG8.W$I6y6BapIkkA3N//MgDKfsSKDSCZ0lxdaYGTxMyXQBaVBn2zm9BYCXWFlYDnbkq7uZcM9wjt1JgML/6BOTN/Ff0', 1000000000, 0, FALSE, TRUE, TRUE, TRUE, FALSE, FALSE, '', TRUE, ''),
  ('2023-05-06', 'jonas@xn--bcher-kva.example', 'jonas', 'xn--bcher-kva.example', '$pbkdf2-sha256$1$7NvJhzpDIXtaBr7irZo71g$pII6mKTc7ar6TNHfxw7hiMLxMWn0xxh7Owex.abuT6Q', 1000000000, 0, FALSE, TRUE, TRUE, TRUE, FALSE, FALSE, '', TRUE, '');

INSERT INTO alias (created_at, email, localpart, domain_name, wildcard, destination, owner_email, disabled) VALUES
  ('2023-05-06', 'info@hill.example', 'info', 'hill.example', FALSE, 'agnes@hill.example,boris@hill.example', NULL, FALSE),
  ('2023-05-06', 'old@hill.example', 'old', 'hill.example', FALSE, 'agnes@hill.example', NULL, TRUE), -- disabled
  ('2023-05-06', 'anon@hill.example', 'anon', 'hill.example', FALSE, 'dario@hill.example', 'dario@hill.example', FALSE), -- its owner is disabled
  ('2023-05-06', 'owned@hill.example', 'owned', 'hill.example', FALSE, 'agnes@hill.example', 'agnes@hill.example', FALSE),
  ('2023-05-06', 'greta@hill.example', 'greta', 'hill.example', FALSE, 'agnes@hill.example', NULL, FALSE), -- the user goes before the alias
  ('2023-05-06', '%@lake.example', '%', 'lake.example', TRUE, 'iris@lake.example', NULL, FALSE), -- catch-all
  ('2023-05-06', 'shop-%@hill.example', 'shop-%', 'hill.example', TRUE, 'agnes@hill.example', NULL, FALSE), -- a pattern
  ('2023-05-06', 'shop-art-%@hill.example', 'shop-art-%', 'hill.example', TRUE, 'boris@hill.example', NULL, FALSE), -- the longer pattern goes first
  ('2023-05-06', 'shop-one@hill.example', 'shop-one', 'hill.example', FALSE, 'clara@hill.example', NULL, FALSE), -- an address goes before the patterns
  ('2023-05-06', 'x_y@hill.example', 'x_y', 'hill.example', FALSE, 'agnes@hill.example', NULL, FALSE); -- _ stands for itself

INSERT INTO token (created_at, id, user_email, password, ip) VALUES
  ('2023-05-06', 1, 'agnes@hill.example', '$pbkdf2-sha256$1$.Y8gdZKenjY7t2FwFGhc7w$TUy6mNT5exRYPwX8NLajYJgc1hs9OyXIkGnsfNscEQY', NULL);
