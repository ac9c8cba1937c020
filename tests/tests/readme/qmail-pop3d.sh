# qmail-pop3d DIR: refuses root, looks for DIR from where it is, and at no variable. The rest of it is mailfront's.
[ "$(id -u)" != 0 ] || exit 1
exec env -i /usr/sbin/pop3front-maildir "$1"
