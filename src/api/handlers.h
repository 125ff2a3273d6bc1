/* api/handlers.h - every handler, by resource.  Form and errors: struct http_route.
 * Layer 4. */
#ifndef SENDENSE_API_HANDLERS_H
#define SENDENSE_API_HANDLERS_H

#include "os/http_server.h"

#define API_HANDLER(name)                                                                \
    int name(struct http_call *call, void *app, struct http_reply *reply, struct err *err)

/* routes_system.c */
API_HANDLER(api_health);
API_HANDLER(api_ready);
API_HANDLER(api_version);
/* routes_repository.c */
API_HANDLER(api_doctor_look);
API_HANDLER(api_doctor_fix);

API_HANDLER(api_repositories_list);
API_HANDLER(api_repositories_add);
API_HANDLER(api_repositories_get);
API_HANDLER(api_repositories_import);
/* routes_node.c */
API_HANDLER(api_nodes_list);
API_HANDLER(api_nodes_get);
API_HANDLER(api_nodes_add);
/* routes_credential.c */
API_HANDLER(api_credentials_list);
API_HANDLER(api_credentials_add);
API_HANDLER(api_credentials_get);
API_HANDLER(api_credentials_change);
API_HANDLER(api_credentials_remove);
API_HANDLER(api_credentials_test);
API_HANDLER(api_credentials_probe);
/* routes_discover.c */
API_HANDLER(api_vms_discover);
/* routes_vm.c */
API_HANDLER(api_vms_list);
API_HANDLER(api_vms_add);
API_HANDLER(api_vms_get);
API_HANDLER(api_vms_remove);
API_HANDLER(api_vms_set_disks);
/* routes_backup.c */
API_HANDLER(api_backups_start);
API_HANDLER(api_backups_list);
API_HANDLER(api_backups_get);
API_HANDLER(api_backups_explain);
API_HANDLER(api_backups_cancel);
API_HANDLER(api_backups_remove);
/* routes_log.c */
API_HANDLER(api_backups_log);
/* routes_verification.c */
API_HANDLER(api_backups_verify);
API_HANDLER(api_verifications_get);
/* routes_restore.c */
API_HANDLER(api_restores_start);
API_HANDLER(api_restores_list);
API_HANDLER(api_restores_get);
API_HANDLER(api_restores_cancel);
/* routes_export.c */
API_HANDLER(api_exports_open);
API_HANDLER(api_exports_list);
API_HANDLER(api_exports_get);
API_HANDLER(api_exports_close);
/* routes_files.c */
API_HANDLER(api_mounts_open);
API_HANDLER(api_mounts_list);
API_HANDLER(api_mounts_get);
API_HANDLER(api_mounts_close);
API_HANDLER(api_mounts_filesystems);
API_HANDLER(api_mounts_files);
API_HANDLER(api_mounts_file_info);
/* routes_files_stream.c */
API_HANDLER(api_mounts_download);
API_HANDLER(api_mounts_archive);
API_HANDLER(api_mounts_archive_many);
/* routes_event.c */
API_HANDLER(api_events);
/* routes_token.c */
API_HANDLER(api_tokens_list);
API_HANDLER(api_tokens_add);
API_HANDLER(api_tokens_revoke);
/* routes_internal.c */
API_HANDLER(api_manifest_put);
API_HANDLER(api_manifest_get);
API_HANDLER(api_parent_manifest_get);
int api_manifest_body(struct http_call *call, void *app, const void *p, size_t n,
                      struct err *err);

#endif
