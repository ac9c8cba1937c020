-- The tables of the ISPmail guide (workaround.org) for Debian Bookworm, with rows that a reader can mistake.
-- Unless a comment says otherwise, the password of NAME@... is "NAME opens".

-- [mysql]
CREATE TABLE virtual_domains (
  id int(11) NOT NULL auto_increment,
  name varchar(50) NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
CREATE TABLE virtual_users (
  id int(11) NOT NULL auto_increment,
  domain_id int(11) NOT NULL,
  email varchar(100) NOT NULL,
  password varchar(150) NOT NULL,
  quota int(11) NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  UNIQUE KEY email (email),
  FOREIGN KEY (domain_id) REFERENCES virtual_domains(id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
CREATE TABLE virtual_aliases (
  id int(11) NOT NULL auto_increment,
  domain_id int(11) NOT NULL,
  source varchar(100) NOT NULL,
  destination varchar(100) NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY (domain_id) REFERENCES virtual_domains(id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

-- [rows]
INSERT INTO virtual_domains (id, name) VALUES
  (1, 'hill.example'),
  (2, 'lake.example'),
  (3, 'Bay.example'), -- a capital
  (4, 'hill.example'); -- a second time, which nothing forbids

INSERT INTO virtual_users (id, domain_id, password, email, quota) VALUES
  (1, 1, '{BLF-CRYPT}$2y$04$GRJRcjvAbl12mWfM0BYRjOilBNItVkafod185SWshpiTtIixdDzCq', 'agnes@hill.example', 0),
  (2, 1, '{SHA256-CRYPT}$5$rounds=1000$xsdVLdGsB19h$TpR8Ie1vSALx9cu4Kmq7JmKri1biQAzgXxEUOfUEVoD', 'boris@hill.example', 209715200), -- 200 MiB
  (3, 1, '{PLAIN-MD5}f2efd649de6b19ed0e7b950c70a15447', 'clara@hill.example', 2147483647), -- the greatest quota of an int
  (4, 1, '$y$j75$bQqYz.b2EVCI4q/Mzjgs3.$P8BA1p2I6R3ZthDRZ/nv.tg7.SA87wQxRdX0nQUD1a7', 'dario@hill.example', -1), -- a quota below 0
  (5, 2, '{BLF-CRYPT}$2y$04$lxAkv/itnMqHiIpwWfEQ2OZ5KQ6dejqD1JlkiaSqfDET00n1W7CJ6', 'iris@lake.example', 0),
  (6, 3, '{BLF-CRYPT}$2y$04$3h4iHzZTZEbMfcX/c7VmxO4XXl1YnBbHEfzNKwkHIjw/cu7zSDCt2', 'Elsa@Bay.example', 0), -- capitals
  (7, 1, '', 'felix@hill.example', 0), -- no password
  (8, 1, '*', 'greta@hill.example', 0), -- locked by hand
  (9, 4, 'henri opens', 'henri@hill.example', 0), -- in the second row of the domain; a password in clear without {PLAIN}
  (10, 4, '{SHA256-CRYPT}$5$rounds=1000$lT3PGW2GRvtD$RBXcx8Zz5H8soGd.AaJ9UxUZTTO3ha.H2HibVdQJv27', 'jonas@hill.example', 0);

INSERT INTO virtual_aliases (id, domain_id, source, destination) VALUES
  (1, 1, 'info@hill.example', 'boris@hill.example'), -- each target has a row
  (2, 1, 'info@hill.example', 'agnes@hill.example'),
  (3, 1, 'boris@hill.example', 'boris@hill.example'), -- kept ...
  (4, 1, 'boris@hill.example', 'boris@far.example'), -- ... and forwarded
  (5, 1, 'clara@hill.example', 'clara@far.example'), -- forwarded and not kept
  (6, 1, 'agnes@hill.example', 'agnes@hill.example'), -- itself alone
  (7, 2, '@lake.example', 'iris@lake.example'), -- catch-all
  (8, 1, 'pair@hill.example', 'agnes@hill.example, boris@hill.example'), -- two targets in one row
  (9, 1, 'root@hill.example', 'root'), -- a local user
  (10, 1, 'Press@Hill.example', 'Agnes@Hill.example'); -- capitals
