-- The tables of vpopmail 5.4 to 5.6 with a table for each domain, with rows that a reader can mistake.
-- Unless a comment says otherwise, the password of NAME is "NAME opens".

-- [mysql]
CREATE TABLE hill_example (
  pw_name varchar(64) NOT NULL,
  pw_passwd varchar(128),
  pw_uid int,
  pw_gid int,
  pw_gecos varchar(64),
  pw_dir varchar(160),
  pw_shell varchar(20),
  PRIMARY KEY (pw_name)
) CHARACTER SET latin1;
CREATE TABLE x_y_example LIKE hill_example;
CREATE TABLE order_example LIKE hill_example;
CREATE TABLE users LIKE hill_example;
CREATE TABLE valias (
  id int(11) PRIMARY KEY AUTO_INCREMENT,
  alias varchar(32) NOT NULL,
  domain varchar(96) NOT NULL,
  valias_line text NOT NULL,
  INDEX (alias, domain)
) CHARACTER SET latin1;
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

-- [rows]
INSERT INTO hill_example (pw_name, pw_passwd, pw_uid, pw_gid, pw_gecos, pw_dir, pw_shell) VALUES
  ('postmaster', '$6$rounds=1000$KZirvbfh5Uf0$YbNfkRzq9iHJJ/oGBRxFjxhuMUTKyd95CNM6E6mu5I8FSAX0vJQIMV2GRgz1/haxOa20J2IkShp3qZK5Cta2N.', 0, 4096, 'postmaster', '/home/vpopmail/domains/hill.example/postmaster', 'NOQUOTA'),
  ('agnes', '$6$rounds=1000$zd4sNpbWI/.q$jloWCbp5hVLotBGDxmSMwCxhUpRaLIeDzftXoKCuBVNy.wGE9R2uCooi6VSZyYehEyTmy7lP/RoLgNg/dIvcN0', 0, 0, 'Agnes Hill', '/home/vpopmail/domains/hill.example/1/agnes', '209715200S'), -- a folder level
  ('boris', '$1$s73Q4R2s$sUx1LootRsHBlXyD0OsG70', 0, 2, 'boris', '/home/vpopmail/domains/hill.example/boris', 'NOQUOTA'), -- NO_POP
  ('elsa', '$6$rounds=1000$SZBQTq3QvzK5$mu719M0DxvAXbPKaQ/wVDhwnpMN7ctQ7gYIUbV8RlRdAPW89.Cn2YHy6pWHtplrsADBGqM7U68T8dtcu1Nufk.', 0, 16, 'elsa', '/home/vpopmail/domains/hill.example/elsa', 'NOQUOTA'); -- BOUNCE_MAIL

-- The table of x-y.example; that of x.y.example would have the same name.
INSERT INTO x_y_example (pw_name, pw_passwd, pw_uid, pw_gid, pw_gecos, pw_dir, pw_shell) VALUES
  ('postmaster', '$6$rounds=1000$OVB1/GnUatnz$EVqDtmp2n2Ww8Vgv8al4AHZGZmpOs8ffajbVcCOvm3Xq5AbQ5FyKK0AIcxZFCNM75is4ZxSKZnWgWJ0lxZlXV/', 0, 4096, 'postmaster', '/home/vpopmail/domains/x-y.example/postmaster', 'NOQUOTA'),
  ('agnes', '$5$rounds=1000$NRVhAjNylXCt$HTqZzEKo6TU0LBCDH/EDGa7dYub9/kAUDGn79p/zsd6', 0, 0, 'another Agnes', '/home/vpopmail/domains/x-y.example/agnes', 'NOQUOTA'); -- her password is "agnes of x-y opens"

-- A name that begins with a word of SQL.
INSERT INTO order_example (pw_name, pw_passwd, pw_uid, pw_gid, pw_gecos, pw_dir, pw_shell) VALUES
  ('postmaster', '$6$rounds=1000$U1cmMQxT4K5k$afgO3KaaZpvbA62rgYNUwXCHRGdDe1YHAaaw7Rk.x.eFGy1CVBEG54iAcvDacelCyu0oUfjKFs4U75aCrX268.', 0, 4096, 'postmaster', '/home/vpopmail/domains/order.example/postmaster', 'NOQUOTA'),
  ('iris', '$y$j75$uZFSoTYXaTDjDfdYA8fw1.$cGv3OOFKWhukilK6/qprkB1qUDTdT40ablinurtjPLD', 0, 0, 'iris', '/home/vpopmail/domains/order.example/iris', 'NOQUOTA');

-- Users without a domain.
INSERT INTO users (pw_name, pw_passwd, pw_uid, pw_gid, pw_gecos, pw_dir, pw_shell) VALUES
  ('henri', '$6$rounds=1000$W2JOULDXvKYG$W5y3UWeEQaOV8fYUjnUzNQdMB/sQqodnyEinszxTCZvaXG2Ov/BtX0dAYQfd5wiWII1CKBPK3ATgvjiBK4mo70', 0, 0, 'henri', '/home/vpopmail/users/henri', 'NOQUOTA');

INSERT INTO valias (alias, domain, valias_line) VALUES
  ('info', 'hill.example', '&agnes@hill.example'),
  ('info', 'x-y.example', '&agnes@x-y.example'),
  ('boris', 'hill.example', '/home/vpopmail/domains/hill.example/boris/Maildir/'), -- kept ...
  ('boris', 'hill.example', '&boris@far.example'); -- ... and forwarded

INSERT INTO dir_control (domain, cur_users, level_cur, the_dir) VALUES
  ('hill.example', 4, 0, ''),
  ('x-y.example', 2, 0, ''),
  ('order.example', 2, 0, '');

INSERT INTO aliasdomains (alias, domain) VALUES
  ('twin.example', 'order.example');
