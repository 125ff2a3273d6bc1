/* os/http_json.c - JSON over http_do(), and problem+json turned back into an err. */
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"
#include "os/http_client.h"

#define DETAIL_MAX 512

static int
class_of_status(long status)
{
    switch (status) {
    case 401:
    case 403:
        return ERR_AUTH;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_EXISTS;
    case 503:
        return ERR_UNAVAILABLE;
    case 507:
        return ERR_NO_SPACE;
    default:
        return status >= 400 && status < 500 ? ERR_INVALID : ERR_IO;
    }
}

/* A peer's word becomes ours only if it looks like one of ours. */
static bool
is_code(const char *s)
{
    size_t n = s ? strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;

    return n > 0 && n < ERR_CODE_SIZE && s[n] == '\0';
}

int
http_response_check(const struct http_response *r, struct err *err)
{
    CLEANUP_JSON json_t *j = NULL;
    struct err ignored = ERR_INIT;
    const char *code = NULL, *detail = NULL;
    char text[DETAIL_MAX];
    size_t n;

    if (r->status >= 200 && r->status < 300)
        return 0;
    if (strncasecmp(r->content_type, "application/problem+json", 24) == 0 && r->body &&
        json_parse(r->body, r->body_len, &j, &ignored) == 0) {
        code = json_string_value(json_object_get(j, "code"));
        detail = json_string_value(json_object_get(j, "detail"));
    }
    n = detail ? strnlen(detail, sizeof(text) - 1) : 0;
    if (n > 0 && detail[n] != '\0') /* cut: not within a character */
        while (n > 0 && ((unsigned char)detail[n] & 0xc0) == 0x80)
            n--;
    for (size_t i = 0; i < n; i++)
        text[i] = (unsigned char)detail[i] < 0x20 || detail[i] == 0x7f ? ' ' : detail[i];
    text[n] = '\0';
    if (n == 0)
        snprintf(text, sizeof(text), "the peer answered HTTP status %ld", r->status);
    return err_set(err, class_of_status(r->status), is_code(code) ? code : NULL, "%s",
                   text);
}

/* Parses the answer of a call that succeeded so far. */
static int
take_json(const struct http_response *r, json_t **ret, struct err *err)
{
    json_t *j = NULL;

    if (r->body_len == 0) {
        *ret = NULL;
        return 0;
    }
    if (json_parse(r->body, r->body_len, &j, err) < 0) {
        CLEANUP_FREE char *why = xstrdup(err->msg);

        return err_set(err, ERR_PROTOCOL, "malformed_answer", "the answer is no JSON: %s",
                       why);
    }
    *ret = j;
    return 0;
}

int
http_json(struct http_client *c, const struct http_request *req, const json_t *body,
          json_t **ret, long *ret_status, struct err *err)
{
    struct http_request q = *req;
    struct http_response resp = {0};
    char *text = NULL;
    json_t *answer = NULL;
    int r;

    q.on_data = NULL;
    if (body) {
        text = json_line(body);
        if (!text)
            return err_set(err, ERR_INVALID, NULL,
                           "the request cannot be written as JSON");
        q.body = text;
        q.body_len = strlen(text);
        q.content_type = NULL;
    }
    r = http_do(c, &q, &resp, err);
    if (text) { /* a job's spec holds passwords */
        explicit_bzero(text, strlen(text));
        free(text);
    }
    if (r < 0)
        return r;
    if (ret_status)
        *ret_status = resp.status;
    r = http_response_check(&resp, err);
    if (r == 0)
        r = take_json(&resp, &answer, err);
    http_response_done(&resp);
    if (r == 0 && ret)
        *ret = answer;
    else
        json_decref(answer);
    return r;
}
