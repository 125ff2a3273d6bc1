/* api/scope.h - the scopes of tokens, in their order.                         Layer 4. */
#ifndef SENDENSE_API_SCOPE_H
#define SENDENSE_API_SCOPE_H

int scope_rank(const char *word);    /* -1 = no scope */
int scope_highest(const char *list); /* of a comma-separated list; -1 = none */

#endif
