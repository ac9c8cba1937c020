# qmail-pop3d DIR: refuses root, and uses DIR relative to its working folder, without any environment. The rest is done
# by mailfront.
[ "$(id -u)" != 0 ] || exit 1
exec env -i /usr/sbin/pop3front-maildir "$1"
