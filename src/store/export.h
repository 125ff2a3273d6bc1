/* store/export.h - one qemu-nbd that exports one image.                   Layer 2.
 * Blocking.
 *
 * An export counts as started only after an NBD handshake showed its name, description
 * and size. Its process ends with this program (os/child.h).  10 clients, because
 * qemu-nbd's default of one lets the second connection wait for ever.  One owner at a
 * time; the getters are thread-safe. */
#ifndef SENDENSE_STORE_EXPORT_H
#define SENDENSE_STORE_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "os/child.h"

#define EXPORT_CLIENTS_DEFAULT 10
#define EXPORT_PSK_FILE "keys.psk" /* lines of USER:HEX; the name is qemu's */
#define EXPORT_STOP_GRACE_MS 5000
#define EXPORT_START_TIMEOUT_MS 10000

struct export;
#define CLEANUP_EXPORT CLEANUP(cleanup_export)
void cleanup_export(struct export **e);

enum export_cache {
    EXPORT_CACHE_DEFAULT, /* writers: writeback; readers: direct, else page cache */
    EXPORT_CACHE_DIRECT,  /* cache=none; page cache when the file system refuses O_DIRECT
                           */
    EXPORT_CACHE_BUFFERED /* writeback */
};

struct export_spec {
    const char *path;        /* image; absolute */
    const char *format;      /* "qcow2", "raw", "vmdk" or "vhdx" */
    const char *name;        /* export name, 1-255 bytes of [A-Za-z0-9._-] */
    const char *description; /* "" or NULL = none */
    uint16_t port;           /* 0 = @socket is used */
    const char *bind;        /* numeric address for @port; NULL = 127.0.0.1 */
    const char *tls_psk_dir; /* absolute; its keys.psk says who may connect, with TLS;
                                NULL = no TLS */
    const char *tls_user;    /* with tls_psk_dir: whom the first handshake is for */
    const char *socket;      /* path of a Unix socket; must not exist yet */
    uint64_t size_bytes;     /* the export must have it; 0 = any */
    bool read_only;
    bool allocation_depth; /* offer qemu:allocation-depth */
    /* Without what a qcow2 image stands on: what it does not hold itself reads as zero,
     * and the layers below cost nothing. */
    bool alone;
    enum export_cache cache;
    unsigned max_clients; /* 0 = EXPORT_CLIENTS_DEFAULT */
    int lock_fd;          /* the repository's lock, inherited; <= 0 = none */
    unsigned timeout_ms;  /* 0 = EXPORT_START_TIMEOUT_MS */
};

/* ERR_EXISTS "port_in_use" (take the next port), ERR_NOT_FOUND "qemu_nbd_missing" or
 * (image) "image_missing", ERR_UNAVAILABLE "image_locked", ERR_TIMEOUT "export_timeout"
 * (message names the stage: spawn, listen, handshake), ERR_PROTOCOL "export_mismatch"
 * (other name, description or size), ERR_INVALID, ERR_IO "export_failed" (with the last
 * line that qemu-nbd wrote). No process is left when it fails. */
int export_start(const struct export_spec *spec, struct export **ret, struct err *err);

struct export_stop_result {
    bool already_dead; /* had ended by itself, or was stopped before */
    bool term, kill;   /* signals that were needed */
    bool port_free, image_free;
    struct child_exit exit;
    unsigned took_ms;
};

/* TERM, 5 s, KILL, reap; then the port can be bound, the socket is gone, the image is
 * unlocked. Idempotent: the second call gives the same result.  ERR_TIMEOUT
 * "export_stuck" when not even KILL ended it, ERR_EXISTS "port_still_in_use" or
 * "image_still_locked".  @ret may be NULL and is filled in either way. */
int export_stop(struct export *e, struct export_stop_result *ret, struct err *err);
void export_free(struct export *e); /* NULL ok; stops it first */

const struct child_id *export_identity(const struct export *e);
pid_t export_pid(const struct export *e);
int export_pidfd(
    const struct export *e); /* poll(POLLIN): qemu-nbd ended; -1 after export_stop */
bool export_alive(const struct export *e);
/* nbd://127.0.0.1:10104/NAME or nbd+unix:///…; with TLS the same (not nbds). */
const char *export_uri(const struct export *e);
const char *export_name(const struct export *e);
const char *export_path(const struct export *e); /* of the image */
uint16_t export_port(const struct export *e);    /* 0 = Unix socket */
uint64_t export_size(const struct export *e);
/* True when O_DIRECT is in use: what is read comes from the medium. */
bool export_is_direct(const struct export *e);
/* The last lines that qemu-nbd wrote to its stderr, NUL-terminated; malloc'ed. */
char *export_stderr(struct export *e);

/* Path of the programs, "qemu-nbd" and "qemu-img" by default; copied.  Before the first
 * use. */
void export_set_qemu_nbd(const char *path);
void layer_set_qemu_img(const char *path);

#endif
