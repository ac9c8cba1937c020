//! MySQL, which Debian 12 does not have: `tests/mysql-fetch` unpacks it, with its libraries, into a folder.

use crate::not_run::not_run;
use crate::process::run;
use crate::scratch::{Scratch, User};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Folder into which `tests/mysql-fetch` unpacks it.
const ROOT: &str = "/var/cache/mailauth-tests/mysql/root";

/// Options with which the data of a new server is created, and with which it runs.
pub(crate) const USUAL: [&str; 4] =
    ["--innodb-redo-log-capacity=8M", "--innodb-flush-log-at-trx-commit=2", "--disable-log-bin", "--mysqlx=OFF"];

/// Returns true if the tests can run on MySQL. If not, `test` is recorded as not run.
pub fn can_run(test: &str) -> bool {
    if Path::new(ROOT).join("usr/sbin/mysqld").exists() {
        return true;
    }
    not_run(&format!("NOT RUN ON MYSQL: {test}: run tests/mysql-fetch as root"));
    false
}

/// Returns the command line of one of its programs, by the path below `usr`, with its own loader and libraries.
pub(crate) fn command_line(program: &str) -> Vec<String> {
    let libraries = "usr/lib/x86_64-linux-gnu";
    vec![
        format!("{ROOT}/{libraries}/ld-linux-x86-64.so.2"),
        "--library-path".into(),
        format!("{ROOT}/{libraries}:{ROOT}/usr/lib/mysql/private:{ROOT}/usr/lib"),
        format!("{ROOT}/usr/{program}"),
        "--no-defaults".into(),
    ]
}

/// Returns the command line of the server, with the options for the folders of its own files.
pub(crate) fn server() -> Vec<String> {
    let mut line = command_line("sbin/mysqld");
    line.push(format!("--lc-messages-dir={ROOT}/usr/share/mysql"));
    line.push(format!("--character-sets-dir={ROOT}/usr/share/mysql/charsets"));
    line.push(format!("--plugin-dir={ROOT}/usr/lib/mysql/plugin"));
    line.push("--secure-file-priv=".into());
    line
}

/// Returns the data of a new server, created once for all servers of this process.
pub(crate) fn template() -> &'static Path {
    static TEMPLATE: OnceLock<Scratch> = OnceLock::new();
    let folder = TEMPLATE.get_or_init(|| {
        let folder = Scratch::new("mysql-new");
        let data = folder.folder_of(User::named("mysql"), "data");
        let line = server();
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).args(["--user=mysql", "--initialize-insecure"]).args(USUAL).current_dir("/");
        run(command.arg(format!("--datadir={}", data.display())));
        folder
    });
    folder.path()
}
