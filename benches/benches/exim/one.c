/* The minimum of a function for Exim's ${dlfunc: it accepts every login. */

int one(unsigned char **yield, int argc, unsigned char *argv[])
{
    (void)argc;
    (void)argv;
    *yield = (unsigned char *)"1";
    return 0;
}
