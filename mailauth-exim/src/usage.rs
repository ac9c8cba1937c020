//! What the programs print for `--help`.

/// Text of `mailauth-exim --help`, which also follows an error.
pub const USAGE: &str = "\
Usage: mailauth-exim [--config FILE] QUESTION ARGUMENTS...

Asks mailauth about mail accounts and prints the answer. It is for Exim's ${run; with ${dlfunc, libmailauth_exim.so
answers the same questions faster.

Questions:
  domain DOMAIN           whether mail for the domain is accepted; prints yes, no, or backup for a backup MX
  recipient ADDRESS SIZE  whether the address accepts a message of SIZE bytes (-1: unknown); prints ok, unknown,
                          no-mail, or over and the reason
  may_store ADDRESS SIZE  the same question; prints yes or no
  account ADDRESS         values that a delivery needs, for Exim's ${extract
  alias ADDRESS           addresses that mail for the address goes to instead
  cram LOGIN              password in clear, if it is stored so and [courier] clear_users permits this user to read it
  sender LOGIN ADDRESS    whether the login may send as the address; prints yes or no
  login SERVICE LOGIN PASSWORD [CLIENT-ADDRESS]
                          whether the password is right and the service permitted; prints yes or no. Every user of
                          this machine can read the arguments of a running program, so this needs --insecure-argv;
                          use ${dlfunc or ${readsocket instead

Options, before the question:
  --config FILE    path of the configuration; default: /etc/mailauth/mailauth.toml
  --insecure-argv  accept a password on the command line
  --version        print the version
  --help           print this help

Exit codes: 0 yes, 1 no, 75 not now (try again) or an error.";

/// Text of `mailauth-exim-database --help`.
pub const DATABASE_USAGE: &str = "\
Usage: mailauth-exim-database [--config FILE]

Answers one request of the daemon's protocol from the database, on the standard input and output. mailauth-exim and
libmailauth_exim.so start it while the daemon is down, if [client] fallback permits it.

Options:
  --config FILE  path of the configuration; default: $MAILAUTH_CONFIG, or /etc/mailauth/mailauth.toml
  --version      print the version
  --help         print this help

Exit codes: 0 answered, 75 not now (try again) or an error.";
