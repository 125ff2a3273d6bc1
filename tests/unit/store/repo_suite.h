/* tests/unit/store/repo_suite.h - what every engine of a repository must do.
 * An engine's test opens a fresh, locked repository and runs the suite on it. */
#ifndef SENDENSE_REPO_SUITE_H
#define SENDENSE_REPO_SUITE_H

#include "store/repo.h"

struct repo_suite_case {
    const char *name;
    void (*run)(struct repo *r);
};

extern const struct repo_suite_case repo_suite[];
extern const unsigned repo_suite_count;

#endif
