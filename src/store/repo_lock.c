/* store/repo_lock.c - one hub owns a repository; docs/design/repository.md 2.2. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/timeutil.h"
#include "os/child.h"
#include "store/store_priv.h"

#define RECORD_MAX 4096
#define OWNER_SIZE 256
#define RETRY_MS 50

/* What the record says is for people and may be anything: printable ASCII, cut. */
static void
put_word(char *out, size_t size, const char *label, const char *value)
{
    size_t at = strlen(out);

    if (*value == '\0' || at + strlen(label) + 2 >= size)
        return;
    at += (size_t)snprintf(out + at, size - at, "%s%s ", *out ? ", " : "", label);
    for (; *value && at + 1 < size; value++)
        out[at++] = *value > ' ' && *value <= '~' ? *value : '?';
    out[at] = '\0';
}

static void
describe_owner(int fd, char out[OWNER_SIZE])
{
    char text[RECORD_MAX], pid[24];
    struct err ignored = ERR_INIT;
    CLEANUP_JSON json_t *j = NULL;
    struct jreader r;
    ssize_t n = pread(fd, text, sizeof(text), 0);

    out[0] = '\0';
    if (n > 0 && json_parse(text, (size_t)n, &j, &ignored) == 0) {
        jreader_init(&r, j, "lock record", &ignored);
        put_word(out, OWNER_SIZE, "hub", jopt_str(&r, "hub", ""));
        put_word(out, OWNER_SIZE, "host", jopt_str(&r, "host", ""));
        snprintf(pid, sizeof(pid), "%llu", (unsigned long long)jopt_u64(&r, "pid", 0));
        put_word(out, OWNER_SIZE, "pid", pid);
        put_word(out, OWNER_SIZE, "since", jopt_str(&r, "since", ""));
    }
    if (out[0] == '\0')
        snprintf(out, OWNER_SIZE, "an owner that left no record");
}

static int
write_record(int fd, const char *hub_uuid, struct err *err)
{
    struct child_id self;
    struct utsname host;
    char now[TIME_STR_SIZE];
    CLEANUP_JSON json_t *j = NULL;
    CLEANUP_FREE char *text = NULL;

    if (child_id_self(&self, err) < 0)
        return err->class;
    if (uname(&host) < 0)
        return err_errno(err, errno, NULL, "uname");
    time_utc_to_str(time_utc_us(), now);
    /* "s*" leaves a host name out that is no UTF-8; the record is for people. */
    j = json_pack("{s:s, s:s*, s:I, s:s, s:s}", "hub", hub_uuid, "host", host.nodename,
                  "pid", (json_int_t)self.pid, "boot_id", self.boot_id, "since", now);
    if (j == NULL)
        return err_set(err, ERR_INTERNAL, NULL, "encode the lock record");
    text = json_line(j);
    if (ftruncate(fd, 0) < 0)
        return err_errno(err, errno, store_code(errno), "write the lock record");
    if (fs_pwrite_full(fd, text, strlen(text), 0, err) < 0)
        return store_recode(err);
    return 0;
}

/* The kernel has no lock call with a deadline, so it is asked again and again; the only
 * wait is for writers of a hub that just died. */
static int
take_lock(const struct repo *r, int fd, unsigned wait_ms, struct err *err)
{
    uint64_t deadline = time_mono_ns() + wait_ms * NS_PER_MS;
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char owner[OWNER_SIZE];

    while (fcntl(fd, F_OFD_SETLK, &fl) < 0) {
        int left = time_left_ms(deadline);

        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EACCES)
            return err_errno(err, errno, NULL, "lock repository '%s'", r->folder);
        if (left == 0) {
            describe_owner(fd, owner);
            return err_set(
                err, ERR_EXISTS, "repo_locked",
                "repository '%s' is in use by %s, or by a qemu-nbd it left behind",
                r->folder, owner);
        }
        poll(NULL, 0, left < RETRY_MS ? left : RETRY_MS);
    }
    return 0;
}

int
repo_lock(struct repo *r, const char *hub_uuid, unsigned wait_ms, struct err *err)
{
    CLEANUP_FD int fd = -1;

    if (r->lock_fd >= 0)
        return 0;
    if (!uuid_is_valid(hub_uuid))
        return err_set(err, ERR_INVALID, NULL, "the hub's id is no UUID");
    fd = openat(r->root_fd, REPO_LOCK_FILE,
                O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return err_errno(err, errno, store_code(errno), "open '%s/" REPO_LOCK_FILE "'",
                         r->folder);
    if (take_lock(r, fd, wait_ms, err) < 0)
        return err->class;
    if (write_record(fd, hub_uuid, err) < 0)
        return err_prefix(err, "lock repository '%s'", r->folder);
    r->lock_fd = take_fd(&fd);
    return 0;
}

int
repo_lock_fd(const struct repo *r)
{
    return r->lock_fd;
}
