/* files/limits.h - what a hostile image may cost at most.                  Layer 5. */
#ifndef SENDENSE_FILES_LIMITS_H
#define SENDENSE_FILES_LIMITS_H

#define FS_MAX 512u /* file systems of one backup that are listed */

/* For this program and the appliance's: no core files, and no file (an overlay) over
 * 5 GiB. */
void limits_all(void);
/* For this program alone, once the appliance runs. */
void limits_own_memory(void);
/* The library makes its sockets in /tmp for root.  They are connected, so nobody needs
 * their names any more, and a kill must not leave them behind. */
void limits_remove_sockets(void);

#endif
