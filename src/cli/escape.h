/* cli/escape.h - text of a peer on its way to a terminal.                 Layer 5.
 * A VM name may hold ESC sequences; a terminal must show them, not obey them. */
#ifndef SENDENSE_CLI_ESCAPE_H
#define SENDENSE_CLI_ESCAPE_H

#include <stddef.h>

/* Controls (C0, DEL, C1) and marks that turn the direction of text become \u001b and the
 * like, bytes that are not UTF-8 \xff; caller frees.  @keep names control characters that
 * stay, e.g. "\t". */
char *escape_text(const char *s, size_t n, const char *keep);

#endif
