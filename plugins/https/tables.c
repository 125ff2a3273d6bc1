/* https/tables.c - see tables.h. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "tables.h"

enum slot_state { SLOT_EMPTY, SLOT_LOADING, SLOT_READY };

struct slot {
    enum slot_state state;
    const void *file;
    uint64_t offset;
    uint64_t used; /* a clock of uses */
    uint8_t *data; /* TABLES_PIECE_MAX bytes, made at the first use of the slot */
};

struct tables {
    pthread_mutex_t lock; /* of all below; not of the data of a LOADING slot */
    pthread_cond_t changed;
    uint64_t clock;
    struct slot slots[TABLES_SLOTS];
};

struct tables *
tables_new(void)
{
    struct tables *t = xcalloc(1, sizeof(*t));

    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    return t;
}

void
tables_free(struct tables *t)
{
    if (!t)
        return;
    for (unsigned i = 0; i < TABLES_SLOTS; i++)
        free(t->slots[i].data);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* The slot of the piece, or else one to put it in; NULL when all are being loaded. */
static struct slot *
find_locked(struct tables *t, const void *file, uint64_t offset)
{
    struct slot *best = NULL;

    for (unsigned i = 0; i < TABLES_SLOTS; i++) {
        struct slot *s = &t->slots[i];

        if (s->state != SLOT_EMPTY && s->file == file && s->offset == offset)
            return s;
        if (s->state == SLOT_LOADING)
            continue;
        if (!best || (best->state == SLOT_READY &&
                      (s->state == SLOT_EMPTY || s->used < best->used)))
            best = s;
    }
    return best;
}

static int
load_slot(struct tables *t, struct slot *s, uint32_t size, tables_load *load,
          struct err *err)
{
    void *file = (void *)s->file;
    int r;

    pthread_mutex_unlock(&t->lock);
    r = load(file, s->offset, size, s->data, err);
    pthread_mutex_lock(&t->lock);
    s->state = r < 0 ? SLOT_EMPTY : SLOT_READY;
    pthread_cond_broadcast(&t->changed);
    return r;
}

int
tables_get(struct tables *t, void *file, uint64_t offset, uint32_t size,
           tables_load *load, uint8_t *out, struct err *err)
{
    LOCK_SCOPE(&t->lock);
    struct slot *s;
    int r;

    for (;;) {
        s = find_locked(t, file, offset);
        if (!s || s->state == SLOT_LOADING) {
            pthread_cond_wait(&t->changed, &t->lock);
            continue;
        }
        if (s->state == SLOT_READY && s->file == file && s->offset == offset)
            break;
        if (!s->data)
            s->data = xcalloc(1, TABLES_PIECE_MAX);
        s->state = SLOT_LOADING;
        s->file = file;
        s->offset = offset;
        r = load_slot(t, s, size, load, err);
        if (r < 0)
            return r;
        break;
    }
    s->used = ++t->clock;
    memcpy(out, s->data, size);
    return 0;
}
