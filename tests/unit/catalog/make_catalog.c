/* make_catalog FILE: a fresh catalog with the schema of this build. */
#include <stdio.h>

#include "catalog/catalog.h"

int
main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct catalog *c;

    if (argc != 2 || catalog_open(argv[1], true, &c, &err) < 0) {
        fprintf(stderr, "make_catalog: %s\n", err.msg);
        return 1;
    }
    catalog_close(c);
    return 0;
}
