/* api/files_call.h - the session that a call names.                          Layer 4. */
#ifndef SENDENSE_API_FILES_CALL_H
#define SENDENSE_API_FILES_CALL_H

#include "job/files_session.h"
#include "os/http_server.h"

/* ERR_NOT_FOUND "mount_not_found".  files_unref() it. */
int files_call_session(struct http_call *call, void *app, struct files_session **ret,
                       struct err *err);

#endif
