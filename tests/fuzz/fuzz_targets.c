/* tests/fuzz/fuzz_targets.c - target strings and names.
 * Built for libFuzzer, or with replay.c as a program that runs the files it is given. */
#include <string.h>

#include "base/cleanup.h"
#include "model/naming.h"
#include "model/targets.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *s = malloc(size + 1), *built = NULL, *again = NULL;
    CLEANUP_TARGETS struct targets t = {0}, u = {0};
    char id[NAMING_BACKUP_ID_SIZE], build[NAMING_LOCATOR_SIZE];
    struct naming_locator l;
    struct err err = ERR_INIT;

    memcpy(s, data, size);
    s[size] = 0;
    naming_name_check(s, "name", &err);
    naming_backup_id(s, (int64_t)size, id);
    if (naming_locator_parse(s, &l) == 0) {
        naming_locator_build(l.vm_uuid, l.disk_uuid, l.seq, build);
        MUST(strcmp(s, build) == 0);
    }
    err_clear(&err);
    if (targets_parse(s, &t, &err) < 0)
        return 0;
    built = targets_build(&t);
    MUST(built && targets_parse(built, &u, &err) == 0 && u.n == t.n);
    again = targets_build(&u);
    MUST(strcmp(built, again) == 0);
    return 0;
}
