/* copy/hub_answer.c - see hub_answer.h. */
#include <string.h>

#include "base/mem.h"
#include "copy/hub_answer.h"

char *
hub_disk_url(const struct job_spec *spec, uint32_t key, const char *what)
{
    size_t n = strlen(spec->hub_url);

    while (n > 0 && spec->hub_url[n - 1] == '/')
        n--;
    return xasprintf("%.*s/internal/v1/jobs/%s/disks/%u/%s", (int)n, spec->hub_url,
                     spec->job_id, key, what);
}

static int
refusal_class(long status)
{
    if (status == 401 || status == 403)
        return ERR_AUTH;
    if (status == 404)
        return ERR_NOT_FOUND;
    if (status == 409)
        return ERR_EXISTS;
    if (status == 422)
        return ERR_CORRUPT;
    if (status == 507)
        return ERR_NO_SPACE;
    if (status == 408 || status == 429 || status >= 500)
        return ERR_UNAVAILABLE;
    return ERR_INVALID;
}

int
hub_refusal(const json_t *j, long status, const char *what, struct err *err)
{
    const char *code = json_string_value(json_object_get(j, "code"));
    const char *detail = json_string_value(json_object_get(j, "detail"));
    int class = refusal_class(status);

    return err_set(err, class,
                   code                       ? code
                   : class == ERR_UNAVAILABLE ? "hub_unavailable"
                                              : NULL,
                   "the hub refused %s with status %ld%s%.300s", what, status,
                   detail ? ": " : "", detail ? detail : "");
}
