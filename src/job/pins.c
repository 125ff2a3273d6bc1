#include "job/pins.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

struct pin {
    char *backup_id;
    unsigned readers;
    bool claimed;
    bool merge; /* by a merge */
    struct pin *next;
};

static pthread_mutex_t pins_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pin *pins_head; /* under pins_lock; only backups in use are in it */

static struct pin *
find_locked(const char *backup_id, bool make)
{
    struct pin *p;

    for (p = pins_head; p; p = p->next)
        if (strcmp(p->backup_id, backup_id) == 0)
            return p;
    if (!make)
        return NULL;
    p = xcalloc(1, sizeof *p);
    p->backup_id = xstrdup(backup_id);
    p->next = pins_head;
    pins_head = p;
    return p;
}

static void
drop_unused_locked(void)
{
    for (struct pin **pp = &pins_head; *pp;) {
        struct pin *p = *pp;

        if (p->readers > 0 || p->claimed) {
            pp = &p->next;
            continue;
        }
        *pp = p->next;
        free(p->backup_id);
        free(p);
    }
}

int
pins_pin(const char *backup_id, struct err *err)
{
    LOCK_SCOPE(&pins_lock);
    struct pin *p = find_locked(backup_id, true);

    if (p->claimed && p->merge)
        return err_set(err, ERR_EXISTS, "merge_running",
                       "an older backup below '%s' is being merged into those above it: "
                       "try again when that is done (`sendense backup ls`)",
                       backup_id);
    if (p->claimed)
        return err_set(err, ERR_EXISTS, "backup_in_use", "backup '%s' is being deleted",
                       backup_id);
    p->readers++;
    return 0;
}

void
pins_unpin(const char *backup_id)
{
    LOCK_SCOPE(&pins_lock);
    struct pin *p = find_locked(backup_id, false);

    if (p && p->readers > 0)
        p->readers--;
    drop_unused_locked();
}

static int
claim(const char *backup_id, bool merge, struct err *err)
{
    LOCK_SCOPE(&pins_lock);
    struct pin *p = find_locked(backup_id, true);

    if (p->claimed || p->readers > 0)
        return err_set(
            err, ERR_EXISTS, "backup_in_use",
            "backup '%s' is being read by a restore or a verification, is open "
            "(`sendense restore exports`), or being deleted "
            "or merged",
            backup_id);
    p->claimed = true;
    p->merge = merge;
    return 0;
}

int
pins_claim(const char *backup_id, struct err *err)
{
    return claim(backup_id, false, err);
}

int
pins_claim_merge(const char *backup_id, struct err *err)
{
    return claim(backup_id, true, err);
}

void
pins_unclaim(const char *backup_id)
{
    LOCK_SCOPE(&pins_lock);
    struct pin *p = find_locked(backup_id, false);

    if (p)
        p->claimed = false;
    drop_unused_locked();
}
