/* cli/progress.c - see progress.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/timeutil.h"
#include "cli/escape.h"
#include "cli/output.h"
#include "cli/progress.h"

#define BAR_MAX 40
#define BAR_MIN 8 /* a shorter bar says nothing: none then */
#define UNKNOWN UINT64_MAX

static uint64_t
member_u64(const json_t *obj, const char *key, uint64_t def)
{
    const json_t *v = json_object_get(obj, key);

    return json_is_integer(v) && json_integer_value(v) >= 0
               ? (uint64_t)json_integer_value(v)
               : def;
}

static void
set_text(char *out, size_t size, const json_t *v)
{
    const char *s = json_string_value(v);
    char *e = escape_text(s ? s : "", s ? strlen(s) : 0, "");

    snprintf(out, size, "%.*s", (int)(size - 1), e);
    free(e);
}

/* New figures of one line.  Percentages of one phase only grow, whatever the order in
 * which answers come. */
static void
update_line(struct progress_line *l, const char *old_phase, double percent, uint64_t done,
            uint64_t total, double dt_s)
{
    uint64_t delta = done > l->done ? done - l->done : 0;

    if (dt_s > 0.05) {
        uint64_t now = (uint64_t)((double)delta / dt_s);

        /* Smoothed: one second of a disk says little. */
        l->rate = l->rate ? (l->rate * 3 + now) / 4 : now;
    }
    percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
    if (strcmp(old_phase, l->phase) != 0 || percent > l->percent)
        l->percent = percent;
    l->done = done;
    l->total = total;
    l->eta_s = UNKNOWN;
    if (l->rate > 0 && total > done)
        l->eta_s = (total - done) / l->rate;
}

static double
percent_of(const json_t *v, uint64_t done, uint64_t total)
{
    if (json_is_number(v))
        return json_number_value(v);
    return total ? 100.0 * (double)done / (double)total : 0;
}

static void
update_disk(struct progress_line *l, const json_t *d, double dt_s)
{
    const json_t *bytes = json_object_get(d, "bytes");
    uint64_t done = member_u64(bytes, "done", 0);
    uint64_t total = member_u64(bytes, "total", member_u64(d, "size_bytes", 0));
    char old[sizeof(l->phase)];

    snprintf(old, sizeof(old), "%s", l->phase);
    snprintf(l->name, sizeof(l->name), "%llu",
             (unsigned long long)member_u64(d, "device_key", 0));
    set_text(l->phase, sizeof(l->phase), json_object_get(d, "status"));
    update_line(l, old, percent_of(json_object_get(d, "percent"), done, total), done,
                total, dt_s);
    if (strcmp(l->phase, "transferring") != 0 && strcmp(l->phase, "verifying") != 0) {
        l->rate = 0;
        l->eta_s = UNKNOWN;
    }
}

void
progress_update(struct progress *p, const json_t *job, uint64_t now_ns)
{
    const json_t *pr = json_object_get(job, "progress"), *disk;
    const json_t *bytes = json_object_get(job, "bytes");
    uint64_t done = member_u64(bytes, "done", member_u64(job, "bytes_done", 0));
    uint64_t total = member_u64(bytes, "total", member_u64(job, "bytes_total", 0));
    double dt_s = p->last_ns ? (double)(now_ns - p->last_ns) / (double)NS_PER_S : 0;
    const json_t *percent = json_object_get(pr ? pr : job, "percent");
    char old[sizeof(p->total.phase)];
    size_t i;

    snprintf(old, sizeof(old), "%s", p->total.phase);
    snprintf(p->total.name, sizeof(p->total.name), "total");
    set_text(p->total.phase, sizeof(p->total.phase),
             json_object_get(job, "current_phase"));
    if (!p->total.phase[0])
        set_text(p->total.phase, sizeof(p->total.phase), json_object_get(job, "status"));
    update_line(&p->total, old, percent_of(percent, done, total), done, total, dt_s);
    if (pr) {
        p->total.rate = member_u64(pr, "rate_bytes_per_s", 0);
        p->total.eta_s = member_u64(pr, "eta_s", UNKNOWN);
    }
    p->n_disks = 0;
    json_array_foreach(json_object_get(job, "disk_results"), i, disk)
    {
        if (i == PROGRESS_DISKS_MAX)
            break;
        update_disk(&p->disks[i], disk, dt_s);
        p->n_disks++;
    }
    p->last_ns = now_ns;
}

static void
figures(const struct progress_line *l, char *out, size_t size)
{
    char rate[TEXT_SIZE_STR + 2] = "", eta[OUTPUT_DURATION_SIZE] = "";
    char one[TEXT_SIZE_STR];

    if (l->rate) {
        text_size(l->rate, one);
        snprintf(rate, sizeof(rate), "%s/s", one);
    }
    if (l->eta_s != UNKNOWN)
        output_duration(l->eta_s, eta);
    snprintf(out, size, "%5.1f%%  %12s  ETA %7s  %s", l->percent, rate,
             eta[0] ? eta : "-", l->phase);
}

static void
draw_bar(double percent, unsigned width, char *out)
{
    unsigned full = (unsigned)(percent / 100 * width);

    *out++ = '[';
    for (unsigned i = 0; i < width; i++)
        *out++ = i < full ? '#' : '.';
    *out++ = ']';
    *out = '\0';
}

/* The bar takes what the words leave; the line is cut rather than wrapped, because a
 * wrapped line would make the next cursor-up fall short. */
static int
draw_line(const struct progress_line *l, unsigned name_width, unsigned columns,
          struct buf *b, struct err *err)
{
    char words[160], bar[BAR_MAX + 3] = "", line[320];
    size_t used;

    figures(l, words, sizeof(words));
    used = name_width + 2 + strlen(words) + 4; /* "  " and the brackets */
    if (columns >= used + BAR_MIN) {
        size_t width = columns - used;

        draw_bar(l->percent, (unsigned)(width > BAR_MAX ? BAR_MAX : width), bar);
    }
    snprintf(line, sizeof(line), "%-*s  %s%s%s", (int)name_width, l->name, bar,
             bar[0] ? "  " : "", words);
    return buf_printf(b, err, "\r\033[2K%.*s\n", (int)columns, line);
}

int
progress_draw(struct progress *p, unsigned width, unsigned height, struct buf *b,
              struct err *err)
{
    unsigned columns = width > 1 ? width - 1 : 1, name_width = 5, shown = p->n_disks;
    unsigned lines = 0;

    /* The cursor cannot go up out of the window: disks that do not fit are counted
     * instead. */
    if (height > 0 && shown + 2 > height)
        shown = height > 3 ? height - 3 : 0;
    for (unsigned i = 0; i < shown; i++)
        if (strlen(p->disks[i].name) > name_width)
            name_width = (unsigned)strlen(p->disks[i].name);
    if (p->n_drawn)
        buf_printf(b, err, "\033[%uA", p->n_drawn);
    for (unsigned i = 0; i < shown; i++, lines++)
        draw_line(&p->disks[i], name_width, columns, b, err);
    if (shown < p->n_disks) {
        char more[48];

        snprintf(more, sizeof(more), "and %u more disks", p->n_disks - shown);
        buf_printf(b, err, "\r\033[2K%.*s\n", (int)columns, more);
        lines++;
    }
    draw_line(&p->total, name_width, columns, b, err);
    /* A job may show fewer lines than before; the rest of the old ones goes. */
    if (lines + 1 < p->n_drawn)
        buf_printf(b, err, "\033[J");
    p->n_drawn = lines + 1;
    return err->class;
}

int
progress_plain(const struct progress *p, struct buf *b, struct err *err)
{
    char text[TEXT_SIZE_STR], eta[OUTPUT_DURATION_SIZE];

    buf_printf(b, err, "%s %.1f%%", p->total.phase, p->total.percent);
    if (p->total.rate) {
        text_size(p->total.rate, text);
        buf_printf(b, err, ", %s/s", text);
    }
    if (p->total.eta_s != UNKNOWN) {
        output_duration(p->total.eta_s, eta);
        buf_printf(b, err, ", %s left", eta);
    }
    return err->class;
}
