/* tests/unit/vim/golden.h - answers written in the documented shape. */
#ifndef SENDENSE_TEST_VIM_GOLDEN_H
#define SENDENSE_TEST_VIM_GOLDEN_H

#include <stddef.h>

struct xml_doc;
struct xml_node;
struct err;

/* The folder; main() sets it. */
extern const char *golden_folder;

char *golden_text(const char *name, size_t *ret_len); /* caller frees */
/* The answer to @method; fails the test unless the file is one. */
const struct xml_node *golden(const char *name, const char *method, struct xml_doc **ret);
/* The class of the error that the file, a fault, becomes. */
int golden_fault(const char *name, const char *method, struct err *err);
/* A text of the test's own. */
const struct xml_node *parse_answer(const char *body, const char *method,
                                    struct xml_doc **ret);

#endif
