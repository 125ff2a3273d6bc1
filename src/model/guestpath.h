/* model/guestpath.h - paths in a guest's file system: as text, and as archive entries.
 * Layer 1. Pure.  Names there are bytes that somebody else chose: none of it may lead out
 * of the folder that an archive is unpacked in (docs/design/protocol.md 7). */
#ifndef SENDENSE_MODEL_GUESTPATH_H
#define SENDENSE_MODEL_GUESTPATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define GUESTPATH_MAX 16384u /* bytes of a path */

/* Bytes to text: "\\" for a backslash, "\xHH" for what is no UTF-8 or a control
 * character.  Caller frees. */
char *guestpath_to_text(const char *bytes);
/* Text to one name, without any check of '/'.  ERR_INVALID "invalid_path": a bad escape,
 * or a NUL. Caller frees. */
int guestpath_unescape(const char *text, char **ret, struct err *err);
/* Text to an absolute path without "." and double slashes; caller frees.  ERR_INVALID
 * "invalid_path": not absolute, "..", too long, or a bad escape. */
int guestpath_from_text(const char *text, char **ret, struct err *err);

/* The entry for @name, which is relative to the folder @prefix ("" = the top, "a/b"
 * else).  "" stands for the top itself; NULL = must be left out: it holds "..".  Caller
 * frees. */
char *guestpath_entry(const char *prefix, const char *name);
/* The target for the link at @entry: unchanged when it is relative, climbs first and then
 * only descends, and stays below the top; else the relative path to the same place, with
 * the top as root.  Caller frees. */
char *guestpath_link(const char *entry, const char *target);
/* Would a Windows program take this entry for another path? */
bool guestpath_is_windows_trap(const char *entry);

#endif
