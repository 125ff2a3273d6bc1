/* vim/changed_decode.c - a page of changed areas; see decode.h.
 *
 * One answer holds a limited number of areas and says in its length how far it got.
 * Whatever is odd ends the query: a missed area would be a corrupt backup, and reading
 * the whole disk instead is always right. */
#include <inttypes.h>

#include "vim/decode.h"

static int
odd(struct err *err, const char *what, uint64_t offset)
{
    return err_set(err, ERR_PROTOCOL, "changed_areas",
                   "the server's changed areas make no sense: %s at %" PRIu64, what,
                   offset);
}

static int
give(struct vim_areas *a, struct err *err)
{
    uint64_t start = a->start, length = a->end - a->start;

    a->start = a->end;
    return length > 0 ? a->fn(a->arg, start, length, err) : 0;
}

/* @page_end: where the page ends, at most the capacity. */
static int
add_area(struct vim_areas *a, const struct xml_node *e, uint64_t page_end,
         struct err *err)
{
    uint64_t start, length, end;

    if (!xml_u64(xml_child(e, "start"), &start) ||
        !xml_u64(xml_child(e, "length"), &length))
        return odd(err, "an area without a place", a->next);
    if (start > UINT64_MAX - length)
        return odd(err, "an area without an end", start);
    if (length == 0)
        return 0;
    end = start + length;
    /* The server's blocks may be larger than what is left of the disk. */
    if (end > a->capacity)
        end = a->capacity;
    if (start < a->next || start < a->end)
        return odd(err, "an area out of order", start);
    if (start >= page_end || end > page_end)
        return odd(err, "an area beyond the end", start);
    if (start > a->end || a->start == a->end) {
        if (give(a, err) < 0)
            return err->class;
        a->start = start;
    }
    a->end = end;
    return 0;
}

int
vim_areas_page(struct vim_areas *a, const struct xml_node *response, struct err *err)
{
    const struct xml_node *page = xml_child(response, "returnval");
    const struct xml_node *e = xml_child(page, "changedArea");
    uint64_t start, length, end;

    if (!xml_u64(xml_child(page, "startOffset"), &start) ||
        !xml_u64(xml_child(page, "length"), &length))
        return odd(err, "a page without a place", a->next);
    if (start != a->next)
        return odd(err, "another start than asked for", start);
    if (length == 0)
        return odd(err, "no progress", start);
    if (start > UINT64_MAX - length)
        return odd(err, "a page without an end", start);
    end = start + length < a->capacity ? start + length : a->capacity;
    for (; e; e = xml_next(e, "changedArea"))
        if (add_area(a, e, end, err) < 0)
            return err->class;
    a->next = end;
    return 0;
}

int
vim_areas_end(struct vim_areas *a, struct err *err)
{
    return give(a, err);
}
