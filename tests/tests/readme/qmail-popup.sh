# qmail-popup HOST CHECKPASSWORD SERVER...
host=$1
shift
printf '+OK <%s.1@%s>\r\n' $$ "$host"
read -r verb user
printf '+OK\r\n'
read -r verb password
exec 4<&0
printf '%s\0' "${user%?}" "${password%?}" "<$$.1@$host>" | "$@" 3<&0 0<&4 4<&- || printf -- '-ERR authorization failed\r\n'
