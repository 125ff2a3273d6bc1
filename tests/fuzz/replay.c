/* tests/fuzz/replay.c - runs a fuzz target on the files of the folders given; so that any
 * compiler runs the corpus. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "fuzz.h"

static int
replay_file(const char *path)
{
    CLEANUP_BUF struct buf b = BUF_INIT(64u << 20);
    struct err err = ERR_INIT;

    if (fs_read_file(path, &b, &err) < 0) {
        fprintf(stderr, "%s: %s\n", path, err.msg);
        return -1;
    }
    /* Cut and spoiled variants too, so that a small corpus reaches the refusals. */
    LLVMFuzzerTestOneInput((const uint8_t *)b.data, b.len);
    for (size_t i = 0; i < 64 && i < b.len; i++) {
        size_t at = b.len / 64 * i + i % (b.len / 64 + 1);
        char keep = b.data[at];

        LLVMFuzzerTestOneInput((const uint8_t *)b.data, at);
        b.data[at] = (char)(keep ^ (1 << (i % 8)));
        LLVMFuzzerTestOneInput((const uint8_t *)b.data, b.len);
        b.data[at] = keep;
    }
    return 0;
}

int
main(int argc, char **argv)
{
    unsigned files = 0;

    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        struct dirent *e;

        while (d && (e = readdir(d)) != NULL) {
            char path[4096];

            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name);
            if (replay_file(path) < 0)
                return 1;
            files++;
        }
        if (d)
            closedir(d);
    }
    printf("%u files\n", files);
    return files > 0 ? 0 : 1;
}
