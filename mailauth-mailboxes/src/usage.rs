//! What the program prints for `--help`.

/// Text of `mailauth-mailboxes --help`.
pub const USAGE: &str = "\
Usage: mailauth-mailboxes --config FILE [--user NAME]
       mailauth-mailboxes [--socket PATH] [--user NAME] [MAILBOX OPTIONS]

The part of mailauth-courier that runs as root, for a daemon that does not. It examines, counts and creates mailboxes in
processes that have switched to their owners. A daemon that is started as root starts this program itself.

Options:
  --config FILE       read the socket, the user and [mailbox] from this configuration, and nothing else
  --socket PATH       socket for the daemon; default: /run/mailauth-mailboxes/socket. Only root may have write
                      permission for its folder
  --user NAME         user of the daemon, by name or number; only this user and root may ask
  --inherited         use the standard input, a socket of the daemon that started this program
  --version           print the version
  --help              print this help

Mailbox options, the keys of [mailbox] that limit the owners and places of mailboxes:
  --root DIR          folder that contains all homes
  --home TEMPLATE     home of an account that sets none
  --maildir TEMPLATE  Maildir of an account that sets none
  --min-uid N         lowest permitted user
  --uid N             user of accounts that set none
  --min-gid N         lowest permitted group
  --gid N             group of accounts that set none

Exit codes: 0 the daemon that started it has ended, 1 it cannot run, 2 invalid option or configuration.";
