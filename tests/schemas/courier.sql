-- The table that the documentation of Courier authlib recommends, with rows that a reader can mistake.
-- Unless a comment says otherwise, the password of NAME@... is "NAME opens".

-- [mysql]
CREATE TABLE passwd (
  id char(128) DEFAULT '' NOT NULL,
  crypt char(128) DEFAULT '' NOT NULL,
  clear char(128) DEFAULT '' NOT NULL,
  name char(128) DEFAULT '' NOT NULL,
  uid int(10) unsigned DEFAULT '65534' NOT NULL,
  gid int(10) unsigned DEFAULT '65534' NOT NULL,
  home char(255) DEFAULT '' NOT NULL,
  maildir char(255) DEFAULT '' NOT NULL,
  defaultdelivery char(255) DEFAULT '' NOT NULL,
  quota char(255) DEFAULT '' NOT NULL,
  options char(255) DEFAULT '' NOT NULL,
  KEY id (id(128))
);

-- [postgres]
CREATE TABLE passwd (
  id varchar(128) DEFAULT '' NOT NULL,
  crypt varchar(128) DEFAULT '' NOT NULL,
  clear varchar(128) DEFAULT '' NOT NULL,
  name varchar(128) DEFAULT '' NOT NULL,
  uid int DEFAULT 65534 NOT NULL,
  gid int DEFAULT 65534 NOT NULL,
  home varchar(255) DEFAULT '' NOT NULL,
  maildir varchar(255) DEFAULT '' NOT NULL,
  defaultdelivery varchar(255) DEFAULT '' NOT NULL,
  quota varchar(255) DEFAULT '' NOT NULL,
  options varchar(255) DEFAULT '' NOT NULL,
  CONSTRAINT id PRIMARY KEY (id)
);

-- [sqlite]
CREATE TABLE passwd (
  id text NOT NULL PRIMARY KEY,
  crypt text,
  clear text,
  name text,
  uid int,
  gid int,
  home text NOT NULL,
  maildir text,
  defaultdelivery text,
  quota text,
  options text
);
-- Only this table can hold NULL.
INSERT INTO passwd (id, crypt, uid, gid, home) VALUES ('nadia@hill.example', '$6$rounds=1000$LxZuVNUDdKSJ$m5FTAnqDUBzDTLphyiY/4BjsWsd5/auwUMex7hccSKW0biLOeV6FmDmAfS1O4VI7h/NC6Eb40X/TSSwvPnLRs1', 1600, 1600, '/home/vmail/hill.example/nadia');

-- [rows]
INSERT INTO passwd (id, crypt, clear, name, uid, gid, home, maildir, quota, options) VALUES
  ('agnes@hill.example', '$6$rounds=1000$.fnQngWWaCYx$zMs9RjR6XS7Lyhn/TaUE7Y.xHNb.rOTfnuzwfrPltEc4Ka.qcM40gslzTJlP2kpcWJpayyUVgvKRDwGymVs7E/', '', 'Agnes Hill', 1600, 1600, '/home/vmail/hill.example/agnes', '', '209715200S,2000C', ''),
  ('boris@hill.example', '', 'boris opens', '', 1600, 1600, '/home/vmail/hill.example/boris', '', '', ''), -- in clear alone
  ('clara@hill.example', '$1$xANVfw9y$GvefBH605bT2jkPkST3bF/', 'clara clear', '', 1600, 1600, '/home/vmail/hill.example/clara', '', '-1S', ''), -- crypt goes before clear; a negative quota is none
  ('dario@hill.example', '{MD5}BNd0Pe3+Xd89CHcSB2U1/A==', '', '', 1600, 1600, '/home/vmail/hill.example/dario', '', '', 'disableimap=1,disablepop3=0'),
  ('elsa@hill.example', '{SHA}3PEqvUrjWHnvTncomsyAFNs6iCM=', '', '', 1600, 1600, '/home/vmail/hill.example/elsa', '', '', 'disablewebmail=yes,wbnosender=1'), -- yes is a true value too
  ('felix@hill.example', '{SHA256}Ag8xYsC0vSlqHtQrccFW7ZfS+GmjvOKa+OoqDk+uiC8=', '', '', 1600, 1600, '/home/vmail/hill.example/felix', '/srv/mail/felix/', '', ''), -- a Maildir elsewhere
  ('greta@hill.example', '$6$rounds=1000$Iq.uA/Uqnxwp$0.t2CBZyi84PXOmKK9ZaVA4ggAJk1Tv1qVoyXhz7ityWwITohARzK3/hhNI/lvbT/J1gXJG2OZDZZUdgwS57v/', '', '', 0, 0, '/home/vmail/hill.example/greta', '', '', ''), -- root
  ('henri', '$6$rounds=1000$9hKHPV7IREaB$lf3ANZDchYoVgHzbmhJ5LqLvTirtPZ59zc9Xs6XqNyKExjrIsZwe0u1wRqiFfsKRCei3Qv1aiL6O7QI5CdJEY.', '', '', 1600, 1600, '/home/henri', 'Maildir', '', ''), -- a login without a domain
  ('jonas@hill.example', '', '', '', 1600, 1600, '/home/vmail/hill.example/jonas', '', '', ''), -- no password
  ('karla@hill.example', '$6$rounds=1000$moo/Wr3UnX9P$D9P8B8Ztpu8zxIc57tXy4KSIQLJyO.c19Cn5ZH12OcPP2qMuDzBk7dgi3Q4cnujmggKJu.k6Jka7GzrLrI6x9.', '', '', 1600, 1600, '', '', '', ''), -- no home
  ('liam@hill.example', 'Vv2/GlsmV2wAg', '', '', 1600, 1600, '/home/vmail/hill.example/liam', '', '6000000', 'disableimap=1,disablepop3=1,disablesmtp=1'), -- a quota without S is none to Courier
  ('Mona@hill.example', '$6$rounds=1000$iyknbu0MO08m$/xRmwu5J/KPWxO.GgeT5dAYnNcISAaPVVJfqEwy7qGUFPmNUl3xQvXwlqxk8w1/gNpcR6FckXzLVr58zPXMd30', '', '', 1600, 1600, '/home/vmail/hill.example/Mona', '', '', ''), -- a capital
  ('oskar@hill.example', '$5$rounds=1000$0ERtX0qJWpFz$/C8NVAW6LdNckdONVTBDfSy/4IxSpvQcP2iuNwjmTy8', '', '', 1600, 1600, '/home/vmail/hill.example/oskar', '', '5000C', 'sharedgroup=hill,disableimap'); -- a name alone is a true value
