/* os/cookie_box.c - see cookie_box.h. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/timeutil.h"
#include "os/cookie_box.h"

#define TEXT_WORDS (COOKIE_TEXT_MAX / sizeof(uint32_t))
#define READ_LIMIT_NS (1 * NS_PER_S)

enum { GENERATION, LENGTH, TEXT }; /* indices of words */

int
cookie_box_create(int *ret_fd, struct err *err)
{
    CLEANUP_FD int fd = memfd_create("cookie", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, COOKIE_BOX_SIZE) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return err_errno(err, errno, NULL, "make shared memory for a cookie");
    *ret_fd = take_fd(&fd);
    return 0;
}

int
cookie_box_map(int fd, bool writable, struct cookie_box *ret, struct err *err)
{
    struct stat st;
    void *p;

    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, NULL, "the descriptor of the cookie");
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)COOKIE_BOX_SIZE)
        return err_set(err, ERR_INVALID, NULL,
                       "the descriptor of the cookie is no memory of %u bytes",
                       COOKIE_BOX_SIZE);
    p = mmap(NULL, COOKIE_BOX_SIZE, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED,
             fd, 0);
    if (p == MAP_FAILED)
        return err_errno(err, errno, NULL, "map the cookie");
    ret->words = p;
    return 0;
}

void
cookie_box_unmap(struct cookie_box *b)
{
    if (b->words)
        munmap((void *)b->words, COOKIE_BOX_SIZE);
    b->words = NULL;
}

/* What cannot end the header and begin another one. */
static bool
is_sendable(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return n <= COOKIE_TEXT_MAX;
}

int
cookie_box_write(struct cookie_box *b, const char *text, size_t n, struct err *err)
{
    uint32_t words[TEXT_WORDS] = {0};
    uint32_t generation = cookie_box_generation(b) | 1;

    if (!is_sendable(text, n))
        return err_set(err, ERR_INVALID, NULL,
                       "a cookie is longer than %u bytes or no printable text",
                       COOKIE_TEXT_MAX);
    memcpy(words, text, n);
    atomic_store_explicit(&b->words[GENERATION], htole32(generation),
                          memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&b->words[LENGTH], htole32((uint32_t)n), memory_order_relaxed);
    for (size_t i = 0; i < TEXT_WORDS; i++)
        atomic_store_explicit(&b->words[TEXT + i], words[i], memory_order_relaxed);
    atomic_store_explicit(&b->words[GENERATION], htole32(generation + 1),
                          memory_order_release);
    explicit_bzero(words, sizeof(words));
    return 0;
}

uint32_t
cookie_box_generation(const struct cookie_box *b)
{
    return le32toh(atomic_load_explicit(&b->words[GENERATION], memory_order_acquire));
}

/* True when the writer was not there meanwhile. */
static bool
read_once(const struct cookie_box *b, uint32_t words[TEXT_WORDS], uint32_t *ret_length,
          uint32_t *ret_generation)
{
    uint32_t generation = cookie_box_generation(b), after;

    *ret_length = le32toh(atomic_load_explicit(&b->words[LENGTH], memory_order_relaxed));
    for (size_t i = 0; i < TEXT_WORDS; i++)
        words[i] = atomic_load_explicit(&b->words[TEXT + i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    after = le32toh(atomic_load_explicit(&b->words[GENERATION], memory_order_relaxed));
    *ret_generation = generation;
    return generation % 2 == 0 && generation == after;
}

int
cookie_box_read(const struct cookie_box *b, char out[COOKIE_TEXT_MAX + 1],
                uint32_t *ret_generation, struct err *err)
{
    uint64_t deadline = time_mono_ns() + READ_LIMIT_NS;
    uint32_t words[TEXT_WORDS], length, generation;
    int r = 0;

    while (!read_once(b, words, &length, &generation)) {
        if (time_mono_ns() > deadline)
            return err_set(err, ERR_TIMEOUT, NULL,
                           "the cookie is being written and does not get ready");
        poll(NULL, 0, 1);
    }
    if (length > COOKIE_TEXT_MAX || !is_sendable((const char *)words, length)) {
        r = err_set(err, ERR_PROTOCOL, NULL, "the record of the cookie is malformed");
    } else {
        memcpy(out, words, length);
        out[length] = '\0';
        *ret_generation = generation;
    }
    explicit_bzero(words, sizeof(words));
    return r;
}
