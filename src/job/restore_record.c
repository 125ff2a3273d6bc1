#include "job/restore_record.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

#define RECORD_MAX 4096u

int
restore_file_id(const char *path, char out[RESTORE_FILE_ID_SIZE])
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return -1;
    snprintf(out, RESTORE_FILE_ID_SIZE, "{\"device\":%llu,\"inode\":%llu}",
             (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    return 0;
}

static char *
path_of(const char *part)
{
    return xasprintf("%s.json", part);
}

static json_t *
encode(const struct restore_record *r)
{
    char root[2 * MANIFEST_HASH_SIZE + 1];

    text_hex(r->disk->content_root, MANIFEST_HASH_SIZE, root);
    return json_pack("{s:i, s:s, s:I, s:s, s:I, s:s, s:s}", "format", 1, "point_id",
                     r->point_id, "device_key", (json_int_t)r->disk->key, "disk_uuid",
                     r->disk->disk_uuid, "size_bytes", (json_int_t)r->disk->size_bytes,
                     "content_root", root, "image", r->format);
}

int
restore_record_write(const char *part, const struct restore_record *r, struct err *err)
{
    CLEANUP_FREE char *path = path_of(part);
    CLEANUP_JSON json_t *j = encode(r);
    CLEANUP_FREE char *line = json_line(j);

    return fs_write_file_durable(path, line, strlen(line), 0600, err);
}

int
restore_record_check(const char *part, const struct restore_record *r, struct err *err)
{
    CLEANUP_FREE char *path = path_of(part);
    CLEANUP_BUF struct buf b = BUF_INIT(RECORD_MAX);
    CLEANUP_JSON json_t *want = encode(r), *have = NULL;
    struct err why = ERR_INIT;

    if (fs_read_file(path, &b, &why) < 0 || json_parse(b.data, b.len, &have, &why) < 0)
        return err_set(err, ERR_EXISTS, "resume_mismatch",
                       "nothing tells what '%.300s' is the beginning of: %.200s", part,
                       why.msg);
    if (!json_equal(want, have))
        return err_set(err, ERR_EXISTS, "resume_mismatch",
                       "'%.300s' is the beginning of another disk, backup or format",
                       part);
    return 0;
}

int
restore_record_remove(const char *part, struct err *err)
{
    CLEANUP_FREE char *path = path_of(part);

    return fs_unlink(path, true, err);
}

int
restore_record_tidy(const char *part, struct err *err)
{
    return fs_exists(part) ? 0 : restore_record_remove(part, err);
}
