/* vmdk/vmdk_descriptor.c - see vmdk_descriptor.h. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "vmdk/vmdk_delta.h"
#include "vmdk/vmdk_descriptor.h"

#define VMFS_ROOT "/vmfs/volumes/"

static const char *const type_words[] = {
    [VMDK_FLAT] = "FLAT",
    [VMDK_VMFS] = "VMFS",
    [VMDK_VMFSSPARSE] = "VMFSSPARSE",
    [VMDK_SESPARSE] = "SESPARSE",
    [VMDK_VMFSRDM] = "VMFSRDM",
    [VMDK_VMFSRAWDM] = "VMFSRAWDM",
    [VMDK_ZERO] = "ZERO",
    [VMDK_SPARSE] = "SPARSE",
};
static const char *const access_words[] = {
    [VMDK_RW] = "RW", [VMDK_RDONLY] = "RDONLY", [VMDK_NOACCESS] = "NOACCESS"};

const char *
vmdk_extent_type_str(enum vmdk_extent_type t)
{
    return type_words[t];
}

void
vmdk_descriptor_done(struct vmdk_descriptor *d)
{
    for (unsigned i = 0; i < d->n_extents; i++)
        free(d->extents[i].file);
    free(d->extents);
    free(d->parent_hint);
    *d = (struct vmdk_descriptor){0};
}

static int
corrupt(struct err *err, unsigned line, const char *what)
{
    return err_set(err, ERR_CORRUPT, "source_unreadable", "line %u of the descriptor: %s",
                   line, what);
}

/* --- lines --- */

struct parser {
    struct vmdk_descriptor *d;
    unsigned line;
    bool has_version, has_type, has_cid, has_parent_cid;
    struct err *err;
};

static const char *
skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

/* The next word of *@p, or -1 when it is none of @words. */
static int
take_word(const char **p, const char *const *words, size_t n_words)
{
    size_t n = strcspn(*p, " \t");

    for (size_t i = 0; i < n_words; i++)
        if (strlen(words[i]) == n && strncmp(*p, words[i], n) == 0) {
            *p = skip_blanks(*p + n);
            return (int)i;
        }
    return -1;
}

static int
take_number(const char **p, uint64_t *ret)
{
    size_t n = strspn(*p, "0123456789");
    char digits[24];

    if (n == 0 || n >= sizeof(digits) || ((*p)[n] && !strchr(" \t", (*p)[n])))
        return -1;
    memcpy(digits, *p, n);
    digits[n] = '\0';
    if (text_to_u64(digits, ret) < 0)
        return -1;
    *p = skip_blanks(*p + n);
    return 0;
}

static bool
is_name(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
            return false;
    return n > 0 && n <= VMDK_NAME_MAX && text_is_utf8(p, n);
}

static char *
take_quoted(const char **p)
{
    const char *end;
    char *s;

    if (**p != '"' || !(end = strchr(*p + 1, '"')))
        return NULL;
    if (!is_name(*p + 1, (size_t)(end - *p - 1)))
        return NULL;
    s = xasprintf("%.*s", (int)(end - *p - 1), *p + 1);
    *p = skip_blanks(end + 1);
    return s;
}

/* The words after the access: sectors, type, file, offset. */
static int
parse_extent(struct parser *ps, enum vmdk_access access, const char *p)
{
    struct vmdk_descriptor *d = ps->d;
    struct vmdk_extent e = {.access = access};
    CLEANUP_FREE char *file = NULL;
    int type;

    if (d->n_extents == VMDK_EXTENTS_MAX)
        return corrupt(ps->err, ps->line, "too many extents");
    if (take_number(&p, &e.sectors) < 0 || e.sectors == 0 ||
        e.sectors > VMDK_CAPACITY_MAX / VMDK_SECTOR - d->sectors)
        return corrupt(ps->err, ps->line, "an extent of impossible size");
    type = take_word(&p, type_words, ARRAY_LEN(type_words));
    if (type < 0)
        return corrupt(ps->err, ps->line, "an extent of unknown type");
    e.type = (enum vmdk_extent_type)type;
    if (e.type != VMDK_ZERO && !(file = take_quoted(&p)))
        return corrupt(ps->err, ps->line, "an extent without a sound file name");
    if (*p && (take_number(&p, &e.offset_sectors) < 0 ||
               e.offset_sectors > VMDK_CAPACITY_MAX / VMDK_SECTOR))
        return corrupt(ps->err, ps->line, "an extent of impossible place");
    if (*p || (e.offset_sectors && e.type != VMDK_FLAT))
        return corrupt(ps->err, ps->line, "an extent with too many words");
    e.file = take_ptr(&file);
    d->extents = xreallocarray(d->extents, d->n_extents + 1, sizeof(*d->extents));
    d->extents[d->n_extents++] = e;
    d->sectors += e.sectors;
    return 0;
}

static int
parse_hex32(const char *v, uint32_t *ret)
{
    uint32_t n = 0;

    if (!*v || strlen(v) > 8 || strspn(v, "0123456789abcdefABCDEF") != strlen(v))
        return -1;
    for (; *v; v++)
        n = n << 4 | (uint32_t)(*v <= '9' ? *v - '0' : (*v | 0x20) - 'a' + 10);
    *ret = n;
    return 0;
}

/* Twice the same key would leave it to the reader which one counts. */
static int
take_once(struct parser *ps, bool *seen)
{
    if (*seen)
        return corrupt(ps->err, ps->line, "a key that was there before");
    *seen = true;
    return 0;
}

static bool
contains_nocase(const char *text, const char *word)
{
    for (; *text; text++)
        if (strncasecmp(text, word, strlen(word)) == 0)
            return true;
    return false;
}

static int
parse_pair(struct parser *ps, const char *key, const char *value)
{
    struct vmdk_descriptor *d = ps->d;
    bool has_hint = d->parent_hint != NULL;
    int r = 0;

    if (strcasecmp(key, "version") == 0) {
        r = take_once(ps, &ps->has_version);
    } else if (strcasecmp(key, "createType") == 0) {
        r = take_once(ps, &ps->has_type);
        if (r == 0 &&
            (!is_name(value, strlen(value)) || strlen(value) >= sizeof(d->create_type)))
            r = corrupt(ps->err, ps->line, "an unknown createType");
        if (r == 0)
            memcpy(d->create_type, value, strlen(value) + 1);
    } else if (strcasecmp(key, "CID") == 0) {
        r = take_once(ps, &ps->has_cid);
        if (r == 0 && parse_hex32(value, &d->cid) < 0)
            r = corrupt(ps->err, ps->line, "a CID that is no hex number");
    } else if (strcasecmp(key, "parentCID") == 0) {
        r = take_once(ps, &ps->has_parent_cid);
        if (r == 0 && parse_hex32(value, &d->parent_cid) < 0)
            r = corrupt(ps->err, ps->line, "a parentCID that is no hex number");
    } else if (strcasecmp(key, "parentFileNameHint") == 0) {
        r = take_once(ps, &has_hint);
        if (r == 0 && !is_name(value, strlen(value)))
            r = corrupt(ps->err, ps->line, "no sound parentFileNameHint");
        if (r == 0)
            d->parent_hint = xstrdup(value);
    } else if (strncasecmp(key, "encryption", 10) == 0 ||
               (strcasecmp(key, "ddb.iofilters") == 0 &&
                contains_nocase(value, "vmcrypt"))) {
        d->encrypted = true;
    }
    return r;
}

/* One line without its end; changed in place. */
static int
parse_line(struct parser *ps, char *line)
{
    const char *p = skip_blanks(line);
    char *eq, *value;
    size_t n = strlen(line);
    int access;

    while (n > 0 && strchr(" \t\r", line[n - 1]))
        line[--n] = '\0';
    if (!*p || *p == '#')
        return 0;
    access = take_word(&p, access_words, ARRAY_LEN(access_words));
    if (access >= 0)
        return parse_extent(ps, (enum vmdk_access)access, p);
    if (!(eq = strchr(p, '=')))
        return corrupt(ps->err, ps->line, "neither a setting nor an extent");
    value = (char *)skip_blanks(eq + 1);
    while (eq > p && strchr(" \t", eq[-1]))
        eq--;
    *eq = '\0';
    n = strlen(value);
    if (n > 0 && value[0] == '"') {
        if (n < 2 || value[n - 1] != '"')
            return corrupt(ps->err, ps->line, "a value whose quotes do not end");
        value[n - 1] = '\0';
        value++;
    }
    return parse_pair(ps, p, value);
}

static int
parse_lines(struct parser *ps, char *text)
{
    int r = 0;

    while (r == 0 && text) {
        char *line = strsep(&text, "\n");

        ps->line++;
        r = parse_line(ps, line);
    }
    if (r < 0)
        return r;
    if (!ps->has_version || !ps->has_type || ps->d->n_extents == 0)
        return err_set(ps->err, ERR_CORRUPT, "source_unreadable",
                       "the file is no complete disk descriptor: it lacks %s",
                       !ps->has_version ? "a version"
                       : !ps->has_type  ? "a createType"
                                        : "extents");
    return 0;
}

int
vmdk_descriptor_parse(const char *text, size_t n, struct vmdk_descriptor *ret,
                      struct err *err)
{
    struct vmdk_descriptor d = {.parent_cid = VMDK_NO_PARENT};
    struct parser ps = {.d = &d, .err = err};
    CLEANUP_FREE char *copy = NULL;
    int r;

    if (n > VMDK_DESCRIPTOR_MAX)
        return err_set(err, ERR_CORRUPT, "source_unreadable",
                       "the file is no disk descriptor: it has %zu bytes", n);
    if (n == 0 || memchr(text, '\0', n))
        return err_set(err, ERR_CORRUPT, "source_unreadable",
                       "the file is no disk descriptor: it is no text");
    copy = xcalloc(1, n + 1);
    memcpy(copy, text, n);
    r = parse_lines(&ps, copy);
    if (r < 0) {
        vmdk_descriptor_done(&d);
        return r;
    }
    *ret = d;
    return 0;
}

/* --- kinds --- */

static int
refuse(struct err *err, const char *why, const char *file)
{
    return err_set(err, ERR_INVALID, "source_unreadable",
                   "the disk cannot be read over HTTPS: %s%s%.300s%s", why,
                   file ? " ('" : "", file ? file : "", file ? "')" : "");
}

static int
kind_of_extent(const struct vmdk_extent *e, enum vmdk_kind *ret, struct err *err)
{
    if (e->access == VMDK_NOACCESS)
        return refuse(err, "an extent may not be accessed", e->file);
    if (e->file && strstr(e->file, "://"))
        return refuse(err, "an extent is an object of vSAN or a virtual volume", e->file);
    switch (e->type) {
    case VMDK_FLAT:
    case VMDK_VMFS:
    case VMDK_ZERO:
        *ret = VMDK_KIND_FLAT;
        return 0;
    case VMDK_VMFSSPARSE:
        *ret = VMDK_KIND_COWD;
        return 0;
    case VMDK_SESPARSE:
        *ret = VMDK_KIND_SESPARSE;
        return 0;
    case VMDK_VMFSRDM:
    case VMDK_VMFSRAWDM:
        return refuse(err, "an extent is a raw device", e->file);
    case VMDK_SPARSE:
        break;
    }
    return refuse(err, "an extent has the sparse format of hosted products", e->file);
}

int
vmdk_descriptor_classify(const struct vmdk_descriptor *d, enum vmdk_kind *ret,
                         struct err *err)
{
    bool has_parent = d->parent_cid != VMDK_NO_PARENT || d->parent_hint;
    enum vmdk_kind kind = VMDK_KIND_FLAT, k = VMDK_KIND_FLAT;

    if (d->encrypted)
        return refuse(err, "it is encrypted", NULL);
    for (unsigned i = 0; i < d->n_extents; i++) {
        int r = kind_of_extent(&d->extents[i], &k, err);

        if (r < 0)
            return r;
        if (i > 0 && k != kind)
            return refuse(err, "its extents are of several kinds", d->extents[i].file);
        kind = k;
    }
    if (kind == VMDK_KIND_FLAT && has_parent)
        return refuse(err, "it has flat extents and a parent", d->parent_hint);
    if (kind != VMDK_KIND_FLAT && !d->parent_hint)
        return refuse(err, "it is a delta and names no parent", NULL);
    *ret = kind;
    return 0;
}

/* --- places --- */

void
vmdk_place_done(struct vmdk_place *p)
{
    free(p->datastore);
    free(p->path);
    *p = (struct vmdk_place){0};
}

/* No empty part, no "." and no "..". */
static bool
is_plain_path(const char *p)
{
    for (;;) {
        size_t n = strcspn(p, "/");

        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        if (!p[n])
            return true;
        p += n + 1;
    }
}

int
vmdk_locate(const struct vmdk_place *base, const char *file, struct vmdk_place *ret,
            struct err *err)
{
    const char *slash;

    if (!is_name(file, strlen(file)) || strstr(file, "://"))
        return refuse(err, "a file is not on a datastore", file);
    if (file[0] != '/') {
        if (!is_plain_path(file))
            return refuse(err, "a file has an impossible name", file);
        slash = strrchr(base->path, '/');
        ret->datastore = xstrdup(base->datastore);
        ret->path = xasprintf("%.*s%s", slash ? (int)(slash + 1 - base->path) : 0,
                              base->path, file);
        return 0;
    }
    if (strncmp(file, VMFS_ROOT, strlen(VMFS_ROOT)) != 0)
        return refuse(err, "a file is not on a datastore", file);
    file += strlen(VMFS_ROOT);
    slash = strchr(file, '/');
    if (!slash || !is_plain_path(file))
        return refuse(err, "a file has an impossible name", file);
    ret->datastore = xasprintf("%.*s", (int)(slash - file), file);
    ret->path = xstrdup(slash + 1);
    return 0;
}
