#include "catalog/stmt.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "catalog/cat_repository.h"
#include "catalog/catalog_int.h"

#define MESSAGE_MAX 4096u /* bytes of a stored error message */

static struct stmt_slot *
slot_find(struct catalog *c, const char *sql)
{
    size_t i = ((uintptr_t)sql >> 3) * 0x9E3779B97F4A7C15ull % STMT_SLOTS;

    while (c->slots[i].sql && c->slots[i].sql != sql)
        i = (i + 1) % STMT_SLOTS;
    if (c->slots[i].sql)
        return &c->slots[i];
    return c->n_slots < STMT_SLOTS_USED_MAX ? &c->slots[i] : NULL;
}

static int
open_locked(struct stmt *s, struct catalog *c, const char *sql, struct err *err)
{
    struct stmt_slot *slot;

    if (c->depth > 0 && !c->ops->in_tx(c->db))
        return err_set(err, ERR_IO, "catalog_tx_lost",
                       "the database ended the transaction after an earlier error");
    slot = slot_find(c, sql);
    if (slot && slot->busy)
        slot = NULL;
    if (slot && slot->h) {
        s->h = slot->h;
    } else if (c->ops->prepare(c->db, sql, &s->h, err) < 0) {
        return err->class;
    } else if (slot) {
        slot->sql = sql;
        slot->h = s->h;
        c->n_slots++;
    }
    if (slot)
        slot->busy = true;
    s->slot = slot;
    return 0;
}

int
stmt_open_literal(struct stmt *s, struct catalog *c, const char *sql, struct err *err)
{
    pthread_mutex_lock(&c->lock);
    if (open_locked(s, c, sql, err) < 0) {
        pthread_mutex_unlock(&c->lock);
        return err->class;
    }
    s->cat = c;
    s->err = err;
    return 0;
}

void
stmt_done(struct stmt *s)
{
    struct catalog *c = s->cat;

    if (!c)
        return;
    c->ops->reset(s->h);
    if (s->slot)
        s->slot->busy = false;
    else
        c->ops->finalize(s->h);
    free(s->repaired);
    *s = (struct stmt){0};
    pthread_mutex_unlock(&c->lock);
}

static void
note(struct stmt *s, int rc)
{
    if (rc < 0 && s->failed == 0)
        s->failed = rc;
}

void
bind_i64(struct stmt *s, int64_t v)
{
    s->n_bound++;
    if (s->failed == 0)
        note(s, s->cat->ops->bind_int64(s->h, s->n_bound, v, s->err));
}

void
bind_u64(struct stmt *s, uint64_t v)
{
    if (v > INT64_MAX && s->failed == 0)
        note(s,
             err_set(s->err, ERR_INVALID, "number_too_large", "a number is over 2^63-1"));
    bind_i64(s, (int64_t)v);
}

static void
bind_null(struct stmt *s)
{
    s->n_bound++;
    if (s->failed == 0)
        note(s, s->cat->ops->bind_null(s->h, s->n_bound, s->err));
}

void
bind_opt(struct stmt *s, int64_t v)
{
    if (v == 0)
        bind_null(s);
    else
        bind_i64(s, v);
}

void
bind_text(struct stmt *s, const char *t)
{
    size_t n;

    if (!t) {
        bind_null(s);
        return;
    }
    s->n_bound++;
    if (s->failed != 0)
        return;
    n = strnlen(t, CATALOG_TEXT_MAX + 1);
    if (n > CATALOG_TEXT_MAX)
        note(s, err_set(s->err, ERR_LIMIT, "text_too_long",
                        "a text is longer than %u bytes", CATALOG_TEXT_MAX));
    else if (!text_is_utf8(t, n))
        note(s,
             err_set(s->err, ERR_INVALID, "invalid_text", "a text is not valid UTF-8"));
    else
        note(s, s->cat->ops->bind_text(s->h, s->n_bound, t, n, s->err));
}

/* What other programs printed may be cut inside a character or be no UTF-8 at all: each
 * such byte becomes '?'. */
void
bind_message(struct stmt *s, const char *t)
{
    size_t n, i = 0;

    if (!t) {
        bind_null(s);
        return;
    }
    if (s->repaired) {
        note(s, err_set(s->err, ERR_INTERNAL, "catalog_internal",
                        "two messages in a statement"));
        return;
    }
    n = strnlen(t, MESSAGE_MAX);
    s->repaired = xcalloc(1, MESSAGE_MAX + 1);
    while (i < n) {
        size_t k = text_utf8_len(t + i, n - i);

        if (k == 0) {
            s->repaired[i++] = '?';
        } else {
            memcpy(s->repaired + i, t + i, k);
            i += k;
        }
    }
    bind_text(s, s->repaired);
}

int
stmt_row(struct stmt *s)
{
    if (s->failed != 0)
        return s->failed;
    int rc = s->cat->ops->step(s->h, s->err);

    note(s, rc);
    return rc;
}

int
stmt_exec(struct stmt *s)
{
    int rc = stmt_row(s);
    int64_t n;

    if (rc > 0)
        rc = err_set(s->err, ERR_INTERNAL, "catalog_internal", "a change returned a row");
    if (rc < 0)
        return rc;
    n = s->cat->ops->changes(s->h);
    return n > INT32_MAX ? INT32_MAX : (int)n;
}

int
stmt_exec_one(struct stmt *s, const char *code, const char *what)
{
    int rc = stmt_exec(s);

    if (rc == 0)
        return err_set(s->err, ERR_NOT_FOUND, code, "no such %s", what);
    return rc < 0 ? rc : 0;
}

int64_t
stmt_col_i64(struct stmt *s, int i)
{
    return s->cat->ops->column_int64(s->h, i);
}

char *
stmt_col_text(struct stmt *s, int i)
{
    size_t n;

    return xstrdup(s->cat->ops->column_text(s->h, i, &n));
}

bool
err_has_code(const struct err *err, const char *code)
{
    return strcmp(err->code, code) == 0;
}

int
id_after(struct stmt *s, bool have, char *ret)
{
    CLEANUP_FREE char *last = have ? stmt_col_text(s, 0) : NULL;
    uint64_t n = 0;

    if (last && (text_to_u64(last, &n) < 0 || n >= INT64_MAX))
        return err_set(s->err, ERR_CORRUPT, "catalog_corrupt", "an id is not a number");
    snprintf(ret, CAT_ID_SIZE, "%llu", (unsigned long long)n + 1);
    return 0;
}

unsigned
page_limit(unsigned limit)
{
    if (limit == 0)
        return CATALOG_PAGE_DEFAULT;
    return limit > CATALOG_PAGE_MAX ? CATALOG_PAGE_MAX : limit;
}

int
counter_next(struct catalog *c, const char *name, int64_t *ret, struct err *err)
{
    CLEANUP_STMT struct stmt up = {0};
    CLEANUP_STMT struct stmt get = {0};
    int rc;

    if (stmt_open(&up, c, "UPDATE counters SET value = value + 1 WHERE name = ?", err) <
        0)
        return err->class;
    bind_text(&up, name);
    if (stmt_exec_one(&up, "catalog_corrupt", "counter") < 0)
        return err->class;
    if (stmt_open(&get, c, "SELECT value FROM counters WHERE name = ?", err) < 0)
        return err->class;
    bind_text(&get, name);
    rc = stmt_row(&get);
    if (rc < 0)
        return rc;
    *ret = stmt_col_i64(&get, 0);
    return 0;
}
