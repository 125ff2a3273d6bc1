/* os/child_program.c - which file a program's name means, and the environment it gets. */
#include "os/child_program.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"
#include "os/child.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *
path_variable(void)
{
    const char *path = getenv("PATH");

    return path && *path ? path : DEFAULT_PATH;
}

static bool
is_executable(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* Folders that are not absolute are skipped: what they mean depends on where we were
 * started. */
char *
child_find_program(const char *name)
{
    if (strchr(name, '/'))
        return xstrdup(name);
    for (const char *dir = path_variable(); *dir;) {
        size_t n = strcspn(dir, ":");

        if (dir[0] == '/') {
            CLEANUP_FREE char *path = xasprintf("%.*s/%s", (int)n, dir, name);

            if (is_executable(path))
                return take_ptr(&path);
        }
        dir += n;
        dir += *dir == ':';
    }
    return NULL;
}

static bool
env_has(const char *const *env, const char *name)
{
    size_t n = strlen(name);

    for (; env && *env; env++)
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return true;
    return false;
}

/* Set before any thread is there. */
static char *owner_mark;

void
child_set_owner(const char *owner)
{
    free(owner_mark);
    owner_mark = xstrdup(owner);
}

char **
child_make_env(const char *const *extra)
{
    const struct {
        const char *name, *value;
    } minimal[] = {
        {"PATH", path_variable()},
        {"LANG", "C"},
        {"LC_ALL", "C.UTF-8"},
        {"TMPDIR", getenv("TMPDIR")},
        {CHILD_OWNER_ENV, owner_mark ? owner_mark : getenv(CHILD_OWNER_ENV)},
#ifdef SENDENSE_FAILPOINTS
        {"SENDENSE_FAILPOINT", getenv("SENDENSE_FAILPOINT")},
#endif
    };
    size_t n = 0, n_extra = 0;
    char **env;

    while (extra && extra[n_extra])
        n_extra++;
    env = xcalloc(n_extra + ARRAY_LEN(minimal) + 1, sizeof(*env));
    for (size_t i = 0; i < ARRAY_LEN(minimal); i++)
        if (minimal[i].value && !env_has(extra, minimal[i].name))
            env[n++] = xasprintf("%s=%s", minimal[i].name, minimal[i].value);
    for (size_t i = 0; i < n_extra; i++)
        env[n++] = xstrdup(extra[i]);
    return env;
}
