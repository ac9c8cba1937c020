-- The tables of vpopmail 5.4 to 5.6 with one table for all domains, with rows that a reader can mistake.
-- Unless a comment says otherwise, the password of NAME is "NAME opens".

-- [mysql]
CREATE TABLE vpopmail (
  pw_name varchar(64) NOT NULL,
  pw_domain varchar(96) NOT NULL,
  pw_passwd varchar(128),
  pw_uid int,
  pw_gid int,
  pw_gecos varchar(64),
  pw_dir varchar(160),
  pw_shell varchar(20),
  pw_clear_passwd varchar(128),
  PRIMARY KEY (pw_name, pw_domain)
) CHARACTER SET latin1;
CREATE TABLE valias (
  id int(11) PRIMARY KEY AUTO_INCREMENT,
  alias varchar(32) NOT NULL,
  domain varchar(96) NOT NULL,
  valias_line text NOT NULL,
  INDEX (alias, domain)
) CHARACTER SET latin1;
CREATE TABLE lastauth (
  user varchar(32) NOT NULL,
  domain varchar(96) NOT NULL,
  remote_ip varchar(39) NOT NULL,
  timestamp int NOT NULL DEFAULT 0,
  PRIMARY KEY (user, domain)
);
CREATE TABLE dir_control (
  domain varchar(96) NOT NULL,
  cur_users int,
  level_cur int,
  the_dir varchar(160),
  PRIMARY KEY (domain)
);
CREATE TABLE aliasdomains (
  alias varchar(100) NOT NULL,
  domain varchar(100) NOT NULL,
  PRIMARY KEY (alias)
);
CREATE TABLE limits (
  domain varchar(96) PRIMARY KEY,
  maxpopaccounts int(10) NOT NULL DEFAULT -1,
  diskquota bigint unsigned NOT NULL DEFAULT 0,
  defaultquota bigint unsigned NOT NULL DEFAULT 0,
  disable_pop tinyint(1) NOT NULL DEFAULT 0,
  disable_imap tinyint(1) NOT NULL DEFAULT 0,
  disable_dialup tinyint(1) NOT NULL DEFAULT 0,
  disable_webmail tinyint(1) NOT NULL DEFAULT 0,
  disable_relay tinyint(1) NOT NULL DEFAULT 0,
  disable_smtp tinyint(1) NOT NULL DEFAULT 0
);
INSERT INTO aliasdomains (alias, domain) VALUES ('twin.example', 'hill.example');
INSERT INTO limits (domain, disable_pop, disable_imap, disable_webmail, disable_smtp) VALUES ('fen.example', 1, 0, 1, 0);

-- [postgres]
CREATE TABLE vpopmail (
  pw_name varchar(64) NOT NULL,
  pw_domain varchar(96) NOT NULL,
  pw_passwd varchar(128),
  pw_uid int4,
  pw_gid int4,
  pw_gecos varchar(64),
  pw_dir varchar(160),
  pw_shell varchar(20),
  pw_clear_passwd varchar(128),
  PRIMARY KEY (pw_domain, pw_name)
);
CREATE TABLE valias (
  alias varchar(32) NOT NULL,
  domain varchar(96) NOT NULL,
  valias_line varchar(160) NOT NULL
);
CREATE INDEX valias_idx ON valias (alias, domain);
CREATE TABLE dir_control (
  domain varchar(96) NOT NULL,
  cur_users int4,
  level_cur int4,
  the_dir varchar(160),
  PRIMARY KEY (domain)
);

-- [sqlite]
CREATE TABLE vpopmail (
  pw_name text NOT NULL,
  pw_domain text NOT NULL,
  pw_passwd text,
  pw_uid integer,
  pw_gid integer,
  pw_gecos text,
  pw_dir text,
  pw_shell text,
  pw_clear_passwd text,
  PRIMARY KEY (pw_name, pw_domain)
);
CREATE TABLE valias (alias text NOT NULL, domain text NOT NULL, valias_line text NOT NULL);
CREATE INDEX valias_idx ON valias (alias, domain);
CREATE TABLE dir_control (
  domain text NOT NULL,
  cur_users integer,
  level_cur integer,
  the_dir text,
  PRIMARY KEY (domain)
);
CREATE TABLE aliasdomains (alias text NOT NULL, domain text NOT NULL, PRIMARY KEY (alias));
INSERT INTO aliasdomains (alias, domain) VALUES ('twin.example', 'hill.example');

-- [rows]
INSERT INTO vpopmail (pw_name, pw_domain, pw_passwd, pw_uid, pw_gid, pw_gecos, pw_dir, pw_shell, pw_clear_passwd) VALUES
  ('postmaster', 'hill.example', '$6$rounds=1000$2BflszXEPl/T$8jXnmAgq1aJKu4FdABkJrBORIvGWWcUASP/IMK4uu7l0KIwJOJuaSASfrtasrIAnEA6Jhk.mpL/QNca/0HocY.', 0, 4096, 'Postmaster', '/home/vpopmail/domains/hill.example/postmaster', 'NOQUOTA', NULL), -- every domain has one; QA_ADMIN
  ('agnes', 'hill.example', '$6$rounds=1000$xbPaZ7iakq.H$8jj5urQl2yOOeXt.oNFYj.z1FFSn/f6BRO69svYqu80g3rW/ZezpQIbduOHqwKpfeIpcXaAP7ZcaeR3m5McZg1', 0, 0, 'Agnes Hill', '/home/vpopmail/domains/hill.example/agnes', '209715200S', 'agnes clear'), -- 200 MiB; another password in clear
  ('boris', 'hill.example', '$1$rbdas.FS$Y3A7oNjO/qAnGh06frf8E0', 1, 2, 'boris', '/home/vpopmail/domains/hill.example/boris', '60000000S,2000C', NULL), -- pw_uid is a flag; NO_POP
  ('clara', 'hill.example', 'CJVrRLzizEgKo', 0, 8, 'clara', '/home/vpopmail/domains/hill.example/clara', '2000C', NULL), -- NO_IMAP; a limit of messages alone
  ('dario', 'hill.example', '$6$rounds=1000$jaiELnbNd7zq$5oWXon8i1lh5foPyYieYm4236aR6z4xMNtqw7hGpLfyg5JjgQ0NgFY4JCsiNncEaOtDrux7PzxQCkUbxF.Zb01', 0, 2062, 'dario', '/home/vpopmail/domains/hill.example/dario', 'NOQUOTA', NULL), -- NO_POP, NO_WEBMAIL, NO_IMAP, NO_SMTP
  ('elsa', 'hill.example', '$6$rounds=1000$dEFfmk01KGoU$4gbbkIUkCrhY4pNpk6weGf9YTN8IT18HEIFWYRf5VCGQ3twms3Pp3cHnbL/Xm5hL2GaSWL/jC5q.txQB0mi920', 0, 16, 'elsa', '/home/vpopmail/domains/hill.example/elsa', '', NULL), -- BOUNCE_MAIL; an empty quota
  ('felix', 'hill.example', '$6$rounds=1000$u1W8y7u6dBat$cbIpVWEk10OODzGbL9IsosmCwH43EsPCqLfnpatkOxghlIlEoQJhA6Zt4LfRgd6/s0YEhGc64iJzJCgxRNJ8p.', 0, NULL, 'felix', '', NULL, NULL), -- no folder before the first login; NULL bits
  ('greta', 'hill.example', '$6$rounds=1000$GT2px3mOFtqb$uWZIMsZOW1p6f1WEWAU/ZtfZcVsvlETRsinpx22/qwxOjL7EC4nDWhXieaLCCqALeb3Ivb2xhEQwxVDG.fgXs.', 0, 2048, 'greta', '/home/vpopmail/domains/hill.example/0/greta', '20MB', NULL), -- NO_SMTP; a folder level; an old form of quota
  ('henri', 'hill.example', '', 0, 0, 'henri', '/home/vpopmail/domains/hill.example/henri', '6000000', NULL), -- an empty password; a quota without S
  ('jonas', 'hill.example', NULL, 0, 0, 'jonas', '/home/vpopmail/domains/hill.example/jonas', '2000KB', NULL), -- no password
  ('maria', 'hill.example', '$6$rounds=1000$2ZBFhwmR6uLG$4.Q1qgXvohRCJliFcqI9MGi4gsdMJlZ5ITRL3ZGbO.DMgF7GwAL6gXWKgYGrSYw7Le6CABIbTdS5jX09YnJLE1', 0, 5, 'maria', '/home/vpopmail/domains/hill.example/maria', '1S', NULL), -- NO_WEBMAIL, and no change of the password
  ('postmaster', 'fen.example', '$6$rounds=1000$et5thI/J4OVW$xVfrIGMy8u5exoKMawZUyJ2XfMitPPJf5gB6ul3kpnDwRYpACAZzTXmJyC6kmOTvXtB5kz.taABay/KkK2CJe0', 0, 4096, 'postmaster', '/home/vpopmail/domains/fen.example/postmaster', 'NOQUOTA', NULL), -- a domain with limits
  ('karla', 'fen.example', '$6$rounds=1000$u65TkJvwpalq$fwIfR73kyFZiRDeXSXcdiRtJ9g0HY..5TvHYyvtHs8bSWznajzjePCOfK8f.XUMdxrVyoJYtU6LYAcUQH9uIZ0', 0, 0, 'karla', '/home/vpopmail/domains/fen.example/karla', '0S', NULL),
  ('liam', 'fen.example', '$6$rounds=1000$tXom5m.h2grS$S2XA154YLvEwKhjCA6xt/f8fPySzpWCcy4nOreNGOWjdSksXCGOdMMS1FaXMP6cEs3ex77kqzNisf1q1VeJxX.', 0, 8192, 'liam', '/home/vpopmail/domains/fen.example/liam', 'NOQUOTA', NULL); -- V_OVERRIDE: the limits of the domain do not hold

INSERT INTO valias (alias, domain, valias_line) VALUES
  ('info', 'hill.example', '&agnes@hill.example'), -- with qmail's sign
  ('info', 'hill.example', 'boris@hill.example'), -- without it
  ('boris', 'hill.example', '/home/vpopmail/domains/hill.example/boris/Maildir/'), -- kept ...
  ('boris', 'hill.example', '&boris@far.example'), -- ... and forwarded
  ('clara', 'hill.example', '&clara@far.example'), -- forwarded and not kept
  ('ticket', 'hill.example', '|/usr/local/bin/ticket'), -- a program
  ('archive', 'hill.example', '/home/vpopmail/archive/Maildir/'), -- the Maildir of nobody
  ('shop-default', 'hill.example', '&agnes@hill.example'); -- a wildcard of qmail

INSERT INTO dir_control (domain, cur_users, level_cur, the_dir) VALUES
  ('hill.example', 11, 0, ''),
  ('fen.example', 3, 0, ''),
  ('dom_89', 2, 0, ''); -- not a domain
