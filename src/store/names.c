/* store/names.c - names inside a repository; see store_priv.h and repo.h. */
#include <errno.h>
#include <string.h>

#include "model/naming.h"
#include "store/store_priv.h"

const char *
store_code(int e)
{
    if (e == ENOSPC || e == EDQUOT)
        return "repo_full";
    if (e == EROFS)
        return "repo_read_only";
    return NULL;
}

int
store_recode(struct err *err)
{
    return err->class == ERR_NO_SPACE ? err_recode(err, "repo_full") : err->class;
}

bool
seq_of_name(const char *name, uint32_t *ret_seq)
{
    char digits[NAMING_SEQ_SIZE];
    size_t n = strspn(name, "0123456789");

    if (n >= sizeof(digits))
        return false;
    memcpy(digits, name, n);
    digits[n] = '\0';
    return naming_seq_from_file(digits, "", ret_seq) == 0;
}

static bool
is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

bool
repo_name_is_valid(const char *name)
{
    bool at_start = true;

    if (name == NULL || *name == '\0' || strlen(name) > REPO_NAME_MAX)
        return false;
    for (const char *p = name; *p; p++) {
        if (*p == '/') {
            if (at_start)
                return false;
            at_start = true;
            continue;
        }
        if (!is_name_char(*p) || (at_start && *p == '.'))
            return false;
        at_start = false;
    }
    return !at_start;
}

bool
repo_locator_is_valid(const char *locator)
{
    struct naming_locator l;

    return locator != NULL && naming_locator_parse(locator, &l) == 0;
}
