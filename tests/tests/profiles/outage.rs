//! The tables of another program on two hosts.

use mailauth_tests::schemas::{Schema, of};
use mailauth_tests::wire::{Manner, ask, login};
use mailauth_tests::{Mailauth, MariaDb, Postgres, Scratch, Server, eventually};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const AGNES: &str = "agnes@hill.example";
const SOON: Duration = Duration::from_secs(20);

/// Two hosts with the same rows.
struct Hosts {
    servers: [Box<dyn Server>; 2],
    url: String,
    password: String,
}

#[test]
fn another_mariadb_host_answers_when_the_first_is_down() {
    let schema = of("postfixadmin");
    let sql = schema.sql(mailauth_tests::Kind::MariaDb);
    let [first, second] = [MariaDb::start_new(), MariaDb::start_new()];
    let database = first.database();
    database.execute_admin(&sql);
    let (name, password) = (database.name().to_owned(), database.password().to_owned());
    second.admin(&format!(
        "CREATE DATABASE {name} CHARACTER SET utf8mb4; CREATE USER {name}@'%' IDENTIFIED BY '{password}';
         GRANT ALL ON {name}.* TO {name}@'%'; USE {name};\n{sql}"
    ));
    let url = format!("mysql://{name}@127.0.0.1:{},127.0.0.1:{}/{name}", first.port(), second.port());
    answers_from_another_host(&schema, &Hosts { servers: [Box::new(first), Box::new(second)], url, password });
}

#[test]
fn another_postgres_host_answers_when_the_first_is_down() {
    let schema = of("postfixadmin");
    let [first, second] = [Postgres::start_new(), Postgres::start_new()];
    let database = first.database();
    let (name, password) = (database.name().to_owned(), database.password().to_owned());
    let sql = format!("SET ROLE {name};\n{}", schema.sql(mailauth_tests::Kind::Postgres));
    database.execute_admin(&sql);
    second.admin(&format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"));
    second.admin(&format!("CREATE DATABASE {name} OWNER {name}"));
    second.admin(&format!("\\connect {name}\n{sql}"));
    let url = format!("postgres://{name}@127.0.0.1:{},127.0.0.1:{}/{name}", first.port(), second.port());
    answers_from_another_host(&schema, &Hosts { servers: [Box::new(first), Box::new(second)], url, password });
}

fn answers_from_another_host(schema: &Schema, hosts: &Hosts) {
    let folder = Scratch::new("two-hosts");
    let password = folder.join("password");
    fs::write(&password, &hosts.password).expect("the password file");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("its mode");
    let server = Mailauth::configured(|socket| {
        format!(
            "{}[throttle]\nenabled = false\n[outage]\nenabled = false\n[cache]\nenabled = false\n\
             [database]\nurl = \"{}\"\npassword_file = \"{}\"\ntls = \"require\"\ndeadline = \"1s\"\n\
             [courier]\nsocket = \"{}\"\n",
            schema.config,
            hosts.url,
            password.display(),
            socket.display()
        )
    });
    let answers = || {
        let word = |password| login(server.socket(), AGNES, password).word();
        let alias = ask(server.socket(), b"ASK alias info@hill.example\n", Manner::Whole).bytes;
        (word("agnes opens"), word("wrong"), String::from_utf8_lossy(&alias).into_owned())
    };
    let right = ("ACCOUNT", "FAIL", "OK agnes@hill.example, boris@hill.example\n".to_owned());
    assert_eq!(answers(), right, "{}", server.log());
    let [first, second] = &hosts.servers;
    first.crash();
    eventually("answers of the second host", SOON, || answers() == right);
    second.crash();
    assert_eq!(login(server.socket(), AGNES, "agnes opens").word(), "CLOSED");
    first.start();
    eventually("answers of the first host", SOON, || answers() == right);
    first.crash();
}
