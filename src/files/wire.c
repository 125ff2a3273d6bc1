#include "files/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"

static int in_fd = -1, out_fd = -1;
static bool cancelled; /* a C came during the request that runs */

int
wire_open(struct err *err)
{
    CLEANUP_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    in_fd = fcntl(0, F_DUPFD_CLOEXEC, 3);
    out_fd = fcntl(1, F_DUPFD_CLOEXEC, 3);
    if (null < 0 || in_fd < 0 || out_fd < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0)
        return err_errno(err, errno, NULL, "take stdin and stdout");
    return 0;
}

/* 1, or 0 at the end of the input before the first byte. */
static int
read_all(void *p, size_t n, struct err *err)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = read(in_fd, (char *)p + done, n - done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, NULL, "read from the hub");
        if (got == 0 && done == 0)
            return 0;
        if (got == 0)
            return err_set(err, ERR_PROTOCOL, "files_protocol", "a frame is cut off");
        done += (size_t)got;
    }
    return 1;
}

int
wire_request(json_t **ret, struct err *err)
{
    unsigned char head[FILES_HEAD];
    CLEANUP_FREE char *text = NULL;
    enum files_frame type;
    size_t n;
    int r;

    do {
        r = read_all(head, sizeof head, err);
        if (r <= 0)
            return r;
        if (files_head_decode(head, &type, &n, err) < 0)
            return err->class;
        /* A C that came after the answer to what it meant. */
    } while (type == FILES_CANCEL && n == 0);
    cancelled = false;
    if (type != FILES_REQUEST || n == 0)
        return err_set(err, ERR_PROTOCOL, "files_protocol", "not a request");
    text = malloc(n);
    if (!text)
        return err_set(err, ERR_LIMIT, NULL, "no memory for a request");
    r = read_all(text, n, err);
    if (r <= 0)
        return r < 0 ? r : err_set(err, ERR_PROTOCOL, "files_protocol", "cut off");
    return json_parse(text, n, ret, err) < 0 ? err->class : 1;
}

bool
wire_cancelled(void)
{
    struct pollfd p = {.fd = in_fd, .events = POLLIN};
    unsigned char head[FILES_HEAD];
    struct err err = ERR_INIT;

    /* The end of the input too: nobody waits for the answer. */
    if (!cancelled && poll(&p, 1, 0) > 0)
        cancelled = read_all(head, sizeof head, &err) <= 0 || head[0] == FILES_CANCEL;
    return cancelled;
}

int
wire_send(enum files_frame type, const void *p, size_t n, struct err *err)
{
    unsigned char head[FILES_HEAD];

    files_head_encode(type, n, head);
    if (fs_write_full(out_fd, head, sizeof head, err) < 0 ||
        (n > 0 && fs_write_full(out_fd, p, n, err) < 0))
        return err_prefix(err, "answer the hub");
    return 0;
}

int
wire_send_json(enum files_frame type, const json_t *j, struct err *err)
{
    CLEANUP_FREE char *text = json_line(j);
    size_t n = strlen(text);

    if (n > FILES_FRAME_MAX)
        return err_set(err, ERR_LIMIT, NULL, "an answer of %zu bytes is too long", n);
    return wire_send(type, text, n, err);
}
