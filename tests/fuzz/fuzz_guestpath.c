/* tests/fuzz/fuzz_guestpath.c - names of a guest: text and back, entries, links.  Input:
 * an entry, a NUL, the target of a link or a name. */
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "model/filesproto.h"
#include "model/guestpath.h"
#include "fuzz.h"

static void
check_text(const char *bytes)
{
    CLEANUP_FREE char *text = guestpath_to_text(bytes), *back = NULL, *path = NULL;
    struct err err = ERR_INIT;

    MUST(text_is_utf8(text, strlen(text)));
    MUST(guestpath_unescape(text, &back, &err) == 0 && strcmp(back, bytes) == 0);
    if (guestpath_from_text(bytes, &path, &err) < 0)
        return;
    MUST(path[0] == '/' && !strstr(path, "//") && !strstr(path, "/../"));
    MUST(strlen(path) < 3 || strcmp(path + strlen(path) - 3, "/..") != 0);
}

/* How often it climbs; none of that after a name. */
static size_t
climbs_of(const char *path, size_t *ret_names)
{
    size_t climbs = 0, names = 0;

    while (*path) {
        size_t n = strcspn(path, "/");

        if (n == 2 && memcmp(path, "..", 2) == 0) {
            MUST(names == 0);
            climbs++;
        } else if (n > 0 && !(n == 1 && path[0] == '.')) {
            names++;
        }
        path += n + (path[n] == '/');
    }
    *ret_names = names;
    return climbs;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *s = calloc(size + 2, 1), *entry = NULL, *safe = NULL;
    const char *second;
    size_t names, deep;
    enum files_frame type;
    struct err err = ERR_INIT;

    memcpy(s, data, size);
    second = s + strlen(s) + 1;
    check_text(s);
    check_text(second);
    if (size >= FILES_HEAD && files_head_decode(data, &type, &names, &err) == 0)
        MUST(names <= FILES_FRAME_MAX);
    entry = guestpath_entry("", s);
    if (!entry || !entry[0])
        return 0;
    MUST(entry[0] != '/' && climbs_of(entry, &deep) == 0);
    safe = guestpath_link(entry, second);
    MUST(safe[0] && safe[0] != '/' && climbs_of(safe, &names) < deep);
    return 0;
}
