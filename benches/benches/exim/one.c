/* The least that a function for Exim's ${dlfunc can do: it lets everybody in. */

int one(unsigned char **yield, int argc, unsigned char *argv[])
{
    (void)argc;
    (void)argv;
    *yield = (unsigned char *)"1";
    return 0;
}
