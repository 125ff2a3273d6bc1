/* cli/exitcode.c - see exitcode.h. */
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/exitcode.h"

/* Codes that say more than their class.  A hub that refuses with 503 was reached: only
 * these are EXIT_UNREACHABLE. */
static const struct {
    const char *code;
    enum cli_exit exit;
} by_code[] = {
    {"verification_failed", EXIT_VERIFY},
    {"node_unreachable", EXIT_UNREACHABLE},
    {"hub_unreachable", EXIT_UNREACHABLE},
    {"not_ready", EXIT_UNREACHABLE},
    {"shutting_down", EXIT_UNREACHABLE},
    {"image_locked", EXIT_CONFLICT},
    {"vm_changed", EXIT_CONFLICT},
    {"cancelled", EXIT_CANCELLED},
    {"timeout", EXIT_TIMEOUT},
};

static const struct {
    int class;
    enum cli_exit exit;
} by_class[] = {
    {ERR_INVALID, EXIT_USAGE},       {ERR_NOT_FOUND, EXIT_NOT_FOUND},
    {ERR_EXISTS, EXIT_CONFLICT},     {ERR_AUTH, EXIT_AUTH},
    {ERR_CORRUPT, EXIT_VERIFY},      {ERR_TIMEOUT, EXIT_TIMEOUT},
    {ERR_CANCELLED, EXIT_CANCELLED},
};

int
exit_class_of_status(long status)
{
    if (status >= 200 && status < 300)
        return 0;
    switch (status) {
    case 401:
    case 403:
        return ERR_AUTH;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_EXISTS;
    case 429:
        return ERR_LIMIT;
    case 503:
        return ERR_UNAVAILABLE;
    case 504:
        return ERR_TIMEOUT;
    case 507:
        return ERR_NO_SPACE;
    default:
        return status >= 400 && status < 500 ? ERR_INVALID : ERR_IO;
    }
}

static int
find_code(const char *code)
{
    for (size_t i = 0; code && i < ARRAY_LEN(by_code); i++)
        if (strcmp(by_code[i].code, code) == 0)
            return (int)by_code[i].exit;
    return -1;
}

enum cli_exit
exit_from_err(const struct err *err)
{
    int e = find_code(err->code);

    if (e >= 0)
        return (enum cli_exit)e;
    for (size_t i = 0; i < ARRAY_LEN(by_class); i++)
        if (by_class[i].class == err->class)
            return by_class[i].exit;
    return EXIT_FAILED;
}

enum cli_exit
exit_from_job(const char *status, const char *code)
{
    int e = find_code(code);

    if (strcmp(status, "completed") == 0)
        return EXIT_OK;
    if (strcmp(status, "cancelled") == 0)
        return EXIT_CANCELLED;
    return e > 0 ? (enum cli_exit)e : EXIT_FAILED;
}
