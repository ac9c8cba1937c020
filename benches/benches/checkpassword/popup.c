/* The part of qmail-popup that a login by USER and PASS needs: popup CHECKPASSWORD SERVER... */

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

static const char timestamp[] = "<1.1700000000@popup.example>";

static void say(const char *text)
{
    if (write(1, text, strlen(text)) < 0)
        _exit(1);
}

/* The client waits for each reply, so nothing follows the line. */
static void read_line(char *line, size_t room)
{
    size_t length = 0;

    while (length < room - 1 && read(0, line + length, 1) == 1 && line[length] != '\n')
        length++;
    line[length] = 0;
    line[strcspn(line, "\r\n")] = 0;
}

static int log_in(char **argv, const char *record, size_t length)
{
    int ends[2], status;
    pid_t child;

    if (pipe(ends) < 0 || (child = fork()) < 0)
        return 111;
    if (!child) {
        close(ends[1]);
        if (ends[0] != 3) {
            dup2(ends[0], 3);
            close(ends[0]);
        }
        execvp(argv[1], argv + 1);
        _exit(111);
    }
    close(ends[0]);
    if (write(ends[1], record, length) != (ssize_t)length)
        return 111;
    close(ends[1]);
    return waitpid(child, &status, 0) == child ? status : 111;
}

int main(int argc, char **argv)
{
    char line[300], record[1000];
    size_t length = 0;

    if (argc < 3)
        return 2;
    say("+OK ");
    say(timestamp);
    say("\r\n");
    for (;;) {
        read_line(line, sizeof line);
        if (!strncasecmp(line, "USER ", 5)) {
            length = snprintf(record, sizeof record, "%s", line + 5) + 1;
            say("+OK\r\n");
        } else if (!strncasecmp(line, "PASS ", 5) && length) {
            length += snprintf(record + length, sizeof record - length, "%s", line + 5) + 1;
            length += snprintf(record + length, sizeof record - length, "%s", timestamp) + 1;
            if (log_in(argv, record, length))
                say("-ERR authorization failed\r\n");
            return 0;
        } else {
            return 1;
        }
    }
}
