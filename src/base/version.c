/* base/version.c - see version.h. */
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "base/version.h"
#include "version_commit.h"

#define BUILD_ID_MAX 64 /* bytes; SHA-1 has 20 */

const char version_string[] = SENDENSE_VERSION;
const char version_commit[] = SENDENSE_COMMIT;

static char build_id[2 * BUILD_ID_MAX + 1] = "unknown";

/* Notes are 4-byte aligned {namesz, descsz, type, name, desc} (ELF gABI, "Note Section").
 */
static void
scan_notes(const char *p, size_t n)
{
    ElfW(Nhdr) note;

    while (n >= sizeof(note)) {
        size_t name, desc;

        memcpy(&note, p, sizeof(note));
        name = ((size_t)note.n_namesz + 3) & ~(size_t)3;
        desc = ((size_t)note.n_descsz + 3) & ~(size_t)3;
        p += sizeof(note);
        n -= sizeof(note);
        if (name > n || desc > n - name)
            return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(p, "GNU", 4) == 0 && note.n_descsz > 0 &&
            note.n_descsz <= BUILD_ID_MAX) {
            text_hex(p + name, note.n_descsz, build_id);
            return;
        }
        p += name + desc;
        n -= name + desc;
    }
}

/* The first object reported is the main program. */
static int
scan_program(struct dl_phdr_info *info, size_t size, void *arg)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

        if (ph->p_type == PT_NOTE)
            scan_notes((const char *)(info->dlpi_addr + ph->p_vaddr), ph->p_memsz);
    }
    return 1;
}

static void
find_build_id(void)
{
    dl_iterate_phdr(scan_program, NULL);
}

const char *
version_build_id(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, find_build_id);
    return build_id;
}

void
version_print(const char *prog)
{
    printf("%s %s (commit %s, build %s)\n", prog, version_string, version_commit,
           version_build_id());
}

void
version_log(const char *prog)
{
    log_info("%s %s starts, commit %s, build %s", prog, version_string, version_commit,
             version_build_id());
}
