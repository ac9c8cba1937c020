//! Logins on the ports for mail programs. Exim listens on the ports of its configuration, in a network of its own.

use crate::site::Site;
use mailauth_tests::output_with_input;
use mailauth_tests::people::PASSWORD;

/// Starts Exim in a new network and logs in with swaks(1) on each port, with the right and a wrong password. Prints the port
/// and the exit code of each login, and the sessions on standard error.
const LOGINS: &str = r#"
ip link set lo up
exim4 -bdf -oY -oP "$0" >&2 &
exim=$!
trap 'kill $exim; wait' EXIT
for attempt in $(seq 300); do
    ! swaks --server localhost --port 587 --quit-after BANNER >/dev/null 2>&1 || break
    kill -0 $exim
    sleep 0.1
done
log_in() {
    code=0
    swaks --server localhost --port "$1" "$2" --tls-verify --tls-ca-path "$AUTHORITY" --quit-after AUTH --auth PLAIN \
        --auth-user anna@example.org --auth-password "$3" >&2 || code=$?
    echo "$1 $2 $code"
}
for password in "$RIGHT" wrong; do
    log_in 465 --tls-on-connect "$password"
    log_in 587 --tls "$password"
done
"#;

/// Tests logins with implicit TLS on port 465 and with STARTTLS on port 587. The daemon of the site goes on.
pub fn mail_programs_log_in(site: &Site) {
    let ports = site.exim.run(&["-bP", "daemon_smtp_ports", "tls_on_connect_ports"], "").said;
    assert_eq!(ports, "daemon_smtp_ports = 25 : 465 : 587\ntls_on_connect_ports = 465\n");
    let mut command = site.host.command("unshare");
    command.args(["--net", "sh", "-ec", LOGINS]).arg("/var/spool/exim4/exim-ports.pid");
    command.env("AUTHORITY", &site.exim.certificates().authority).env("RIGHT", PASSWORD);
    let output = output_with_input(&mut command, "");
    let said = String::from_utf8_lossy(&output.stderr);
    // 28 is "authentication failed".
    let expected = "465 --tls-on-connect 0\n587 --tls 0\n465 --tls-on-connect 28\n587 --tls 28\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{said}");
}
