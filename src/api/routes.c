/* api/routes.c - the table of routes.  A new route: a line here, a handler in routes_X.c,
 * a row in docs/API_REFERENCE.md (a test compares the two). */
#include "api/api.h"
#include "api/handlers.h"

#define V1 "/api/v1"
#define MOUNTS V1 "/restore/mounts"

const struct http_route api_routes[] = {
    {"GET", "/healthz", NULL, HTTP_BODY_NONE, 0, api_health, NULL},
    {"GET", "/readyz", NULL, HTTP_BODY_NONE, 0, api_ready, NULL},
    {"GET", "/version", NULL, HTTP_BODY_NONE, 0, api_version, NULL},
    {"GET", V1 "/health", NULL, HTTP_BODY_NONE, 0, api_health, NULL},
    {"GET", V1 "/healthz", NULL, HTTP_BODY_NONE, 0, api_health, NULL},
    {"GET", V1 "/readyz", NULL, HTTP_BODY_NONE, 0, api_ready, NULL},
    {"GET", V1 "/version", NULL, HTTP_BODY_NONE, 0, api_version, NULL},

    {"GET", V1 "/repositories", "read", HTTP_BODY_NONE, 0, api_repositories_list, NULL},
    {"POST", V1 "/repositories", "admin", HTTP_BODY_JSON, 0, api_repositories_add, NULL},
    {"GET", V1 "/repositories/{id}", "read", HTTP_BODY_NONE, 0, api_repositories_get,
     NULL},
    {"POST", V1 "/repositories/{id}/import", "admin", HTTP_BODY_NONE, 0,
     api_repositories_import, NULL},

    {"GET", V1 "/nodes", "read", HTTP_BODY_NONE, 0, api_nodes_list, NULL},
    {"POST", V1 "/nodes", "admin", HTTP_BODY_JSON, 0, api_nodes_add, NULL},
    {"GET", V1 "/nodes/{id}", "read", HTTP_BODY_NONE, 0, api_nodes_get, NULL},

    {"GET", V1 "/credentials", "read", HTTP_BODY_NONE, 0, api_credentials_list, NULL},
    {"POST", V1 "/credentials", "admin", HTTP_BODY_JSON, 0, api_credentials_add, NULL},
    {"POST", V1 "/credentials/probe", "admin", HTTP_BODY_JSON, 0, api_credentials_probe,
     NULL},
    {"GET", V1 "/credentials/{id}", "read", HTTP_BODY_NONE, 0, api_credentials_get, NULL},
    {"PATCH", V1 "/credentials/{id}", "admin", HTTP_BODY_JSON, 0, api_credentials_change,
     NULL},
    {"DELETE", V1 "/credentials/{id}", "admin", HTTP_BODY_NONE, 0, api_credentials_remove,
     NULL},
    {"POST", V1 "/credentials/{id}/test", "admin", HTTP_BODY_NONE, 0,
     api_credentials_test, NULL},

    {"POST", V1 "/vms/discover", "operate", HTTP_BODY_JSON, 0, api_vms_discover, NULL},
    {"GET", V1 "/vms", "read", HTTP_BODY_NONE, 0, api_vms_list, NULL},
    {"POST", V1 "/vms", "operate", HTTP_BODY_JSON, 0, api_vms_add, NULL},
    {"GET", V1 "/vms/{id}", "read", HTTP_BODY_NONE, 0, api_vms_get, NULL},
    {"PUT", V1 "/vms/{id}/disks", "operate", HTTP_BODY_JSON, 0, api_vms_set_disks, NULL},
    {"DELETE", V1 "/vms/{id}", "operate", HTTP_BODY_NONE, 0, api_vms_remove, NULL},

    {"POST", V1 "/backups", "operate", HTTP_BODY_JSON, 0, api_backups_start, NULL},
    {"GET", V1 "/backups", "read", HTTP_BODY_NONE, 0, api_backups_list, NULL},
    {"GET", V1 "/backups/{id}", "read", HTTP_BODY_NONE, 0, api_backups_get, NULL},
    {"GET", V1 "/backups/{id}/explain", "read", HTTP_BODY_NONE, 0, api_backups_explain,
     NULL},
    {"DELETE", V1 "/backups/{id}", "admin", HTTP_BODY_NONE, 0, api_backups_remove, NULL},
    {"GET", V1 "/backups/{id}/log", "read", HTTP_BODY_NONE, 0, api_backups_log, NULL},
    {"POST", V1 "/backups/{id}/cancel", "operate", HTTP_BODY_NONE, 0, api_backups_cancel,
     NULL},
    {"POST", V1 "/backups/{id}/verify", "operate", HTTP_BODY_JSON, 0, api_backups_verify,
     NULL},
    {"GET", V1 "/verifications/{id}", "read", HTTP_BODY_NONE, 0, api_verifications_get,
     NULL},

    {"POST", V1 "/restores", "restore", HTTP_BODY_JSON, 0, api_restores_start, NULL},
    {"GET", V1 "/restores", "read", HTTP_BODY_NONE, 0, api_restores_list, NULL},
    {"GET", V1 "/restores/{id}", "read", HTTP_BODY_NONE, 0, api_restores_get, NULL},
    {"POST", V1 "/restores/{id}/cancel", "restore", HTTP_BODY_NONE, 0,
     api_restores_cancel, NULL},

    {"POST", V1 "/restore/exports", "restore", HTTP_BODY_JSON, 0, api_exports_open, NULL},
    {"GET", V1 "/restore/exports", "restore", HTTP_BODY_NONE, 0, api_exports_list, NULL},
    {"GET", V1 "/restore/exports/{id}", "restore", HTTP_BODY_NONE, 0, api_exports_get,
     NULL},
    {"DELETE", V1 "/restore/exports/{id}", "restore", HTTP_BODY_NONE, 0,
     api_exports_close, NULL},

    {"POST", MOUNTS, "restore", HTTP_BODY_JSON, 0, api_mounts_open, NULL},
    {"GET", MOUNTS, "restore", HTTP_BODY_NONE, 0, api_mounts_list, NULL},
    {"GET", MOUNTS "/{id}", "restore", HTTP_BODY_NONE, 0, api_mounts_get, NULL},
    {"DELETE", MOUNTS "/{id}", "restore", HTTP_BODY_NONE, 0, api_mounts_close, NULL},
    {"GET", MOUNTS "/{id}/filesystems", "restore", HTTP_BODY_NONE, 0,
     api_mounts_filesystems, NULL},
    {"GET", MOUNTS "/{id}/files", "restore", HTTP_BODY_NONE, 0, api_mounts_files, NULL},
    {"GET", MOUNTS "/{id}/file-info", "restore", HTTP_BODY_NONE, 0, api_mounts_file_info,
     NULL},
    {"GET", MOUNTS "/{id}/download", "restore", HTTP_BODY_NONE, 0, api_mounts_download,
     NULL},
    {"GET", MOUNTS "/{id}/archive", "restore", HTTP_BODY_NONE, 0, api_mounts_archive,
     NULL},
    {"POST", MOUNTS "/{id}/archive", "restore", HTTP_BODY_JSON, 0,
     api_mounts_archive_many, NULL},

    {"POST", V1 "/doctor", "operate", HTTP_BODY_NONE, 0, api_doctor_look, NULL},
    {"POST", V1 "/doctor/fix", "admin", HTTP_BODY_NONE, 0, api_doctor_fix, NULL},

    {"GET", V1 "/events", "read", HTTP_BODY_NONE, 0, api_events, NULL},

    {"GET", V1 "/tokens", "admin", HTTP_BODY_NONE, 0, api_tokens_list, NULL},
    {"POST", V1 "/tokens", "admin", HTTP_BODY_JSON, 0, api_tokens_add, NULL},
    {"DELETE", V1 "/tokens/{id}", "admin", HTTP_BODY_NONE, 0, api_tokens_revoke, NULL},

    {"PUT", "/internal/v1/jobs/{job_id}/disks/{key}/manifest", "job", HTTP_BODY_STREAM, 0,
     api_manifest_put, api_manifest_body},
    {"GET", "/internal/v1/jobs/{job_id}/disks/{key}/manifest", "job", HTTP_BODY_NONE, 0,
     api_manifest_get, NULL},
    {"GET", "/internal/v1/jobs/{job_id}/disks/{key}/parent-manifest", "job",
     HTTP_BODY_NONE, 0, api_parent_manifest_get, NULL},
    {NULL, NULL, NULL, HTTP_BODY_NONE, 0, NULL, NULL},
};
