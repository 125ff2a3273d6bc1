-- The first schema.  Common subset of SQLite and MariaDB; docs/DB_SCHEMA.md gives each column's meaning.
-- A free text that is indexed has a length check: SQLite does not enforce VARCHAR's, MariaDB would cut or refuse.

CREATE TABLE counters (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('events', 0);
INSERT INTO counters (name, value) VALUES ('job_resources', 0);

CREATE TABLE meta (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE api_tokens (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    token_hash VARCHAR(64) NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT,
    revoked_us BIGINT,
    last_used_us BIGINT
);

CREATE TABLE nodes (
    id VARCHAR(20) NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (LENGTH(name) BETWEEN 1 AND 255),
    url TEXT NOT NULL,
    sealed_token TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    last_seen_us BIGINT,
    version TEXT
);

CREATE TABLE backup_repositories (
    id VARCHAR(20) NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (LENGTH(name) BETWEEN 1 AND 255),
    kind VARCHAR(32) NOT NULL,
    path VARCHAR(700) NOT NULL UNIQUE CHECK (LENGTH(path) BETWEEN 1 AND 700),
    repository_uuid VARCHAR(36) NOT NULL UNIQUE,
    probe TEXT NOT NULL,
    created_us BIGINT NOT NULL
);

CREATE TABLE vms (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL CHECK (LENGTH(name) BETWEEN 1 AND 255),
    source_type VARCHAR(32) NOT NULL,
    node_id VARCHAR(20),
    created_us BIGINT NOT NULL,
    FOREIGN KEY (node_id) REFERENCES nodes (id)
);
CREATE INDEX vms_by_name ON vms (name, id);
CREATE INDEX vms_by_node ON vms (node_id);

CREATE TABLE vm_disks (
    disk_uuid VARCHAR(36) NOT NULL PRIMARY KEY,
    vm_id VARCHAR(36) NOT NULL,
    device_key BIGINT NOT NULL,
    disk_index BIGINT NOT NULL,
    label TEXT NOT NULL,
    source_url TEXT NOT NULL,
    size_bytes BIGINT NOT NULL CHECK (size_bytes >= 0),
    UNIQUE (vm_id, device_key),
    UNIQUE (vm_id, disk_index),
    FOREIGN KEY (vm_id) REFERENCES vms (id)
);

CREATE TABLE backup_jobs (
    job_id VARCHAR(36) NOT NULL PRIMARY KEY,
    backup_id VARCHAR(400) NOT NULL UNIQUE CHECK (LENGTH(backup_id) BETWEEN 1 AND 400),
    vm_id VARCHAR(36) NOT NULL,
    vm_name VARCHAR(255) NOT NULL CHECK (LENGTH(vm_name) BETWEEN 1 AND 255),
    repository_id VARCHAR(20) NOT NULL,
    node_id VARCHAR(20),
    backup_type VARCHAR(32) NOT NULL,
    state VARCHAR(16) NOT NULL CHECK (state IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    current_phase VARCHAR(64) NOT NULL,
    verification VARCHAR(32) NOT NULL,
    readback VARCHAR(32),
    verified_us BIGINT,
    seq BIGINT NOT NULL CHECK (seq > 0),
    attempt BIGINT NOT NULL,
    point_id VARCHAR(36) UNIQUE,
    requested_by TEXT NOT NULL,
    job_token_hash VARCHAR(64),
    created_us BIGINT NOT NULL,
    started_us BIGINT,
    completed_us BIGINT,
    error_code VARCHAR(64),
    error_phase VARCHAR(64),
    error_disk BIGINT,
    error_message TEXT,
    nbd_targets_string TEXT,
    client_identity TEXT,
    cleanup TEXT,
    CHECK (state <> 'completed' OR point_id IS NOT NULL),
    UNIQUE (vm_id, repository_id, seq),
    FOREIGN KEY (vm_id) REFERENCES vms (id),
    FOREIGN KEY (repository_id) REFERENCES backup_repositories (id),
    FOREIGN KEY (node_id) REFERENCES nodes (id)
);
CREATE INDEX backup_jobs_by_time ON backup_jobs (created_us, job_id);
CREATE INDEX backup_jobs_by_vm_name ON backup_jobs (vm_name, created_us);
CREATE INDEX backup_jobs_by_state ON backup_jobs (state, created_us);
CREATE INDEX backup_jobs_by_repository ON backup_jobs (repository_id, created_us);
CREATE INDEX backup_jobs_by_node ON backup_jobs (node_id);

CREATE TABLE backup_disks (
    job_id VARCHAR(36) NOT NULL,
    disk_index BIGINT NOT NULL CHECK (disk_index >= 0),
    device_key BIGINT NOT NULL,
    disk_uuid VARCHAR(36) NOT NULL,
    size_bytes BIGINT NOT NULL CHECK (size_bytes >= 0),
    label TEXT NOT NULL,
    source_url TEXT NOT NULL,
    backup_type VARCHAR(32) NOT NULL,
    read_mode VARCHAR(32) NOT NULL,
    reason TEXT NOT NULL,
    locator TEXT NOT NULL,
    layer_id VARCHAR(36) NOT NULL UNIQUE,
    parent_layer_id VARCHAR(36),
    layer_root VARCHAR(64),
    content_root VARCHAR(64),
    records BIGINT NOT NULL,
    change_id TEXT,
    nbd_port BIGINT,
    nbd_export_name TEXT,
    qemu_nbd_pid BIGINT,
    state VARCHAR(16) NOT NULL,
    error_message TEXT,
    bytes_read BIGINT NOT NULL,
    bytes_sent BIGINT NOT NULL,
    bytes_zero BIGINT NOT NULL,
    bytes_skipped BIGINT NOT NULL,
    bytes_audit BIGINT NOT NULL,
    bytes_stored BIGINT NOT NULL,
    checkpoint BIGINT NOT NULL,
    PRIMARY KEY (job_id, disk_index),
    UNIQUE (job_id, device_key),
    FOREIGN KEY (job_id) REFERENCES backup_jobs (job_id)
);
CREATE INDEX backup_disks_by_parent ON backup_disks (parent_layer_id);

CREATE TABLE job_resources (
    id BIGINT NOT NULL PRIMARY KEY,
    job_id VARCHAR(36) NOT NULL,
    kind VARCHAR(32) NOT NULL,
    res_key VARCHAR(700) NOT NULL CHECK (LENGTH(res_key) BETWEEN 1 AND 700),
    state VARCHAR(16) NOT NULL CHECK (state IN ('intent', 'held', 'released')),
    open_mark BIGINT,
    detail TEXT,
    pid BIGINT,
    start_ticks BIGINT,
    boot_id VARCHAR(64),
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    CHECK ((state = 'released' AND open_mark IS NULL) OR (state <> 'released' AND open_mark = 1)),
    UNIQUE (kind, res_key, open_mark)
);
CREATE INDEX job_resources_by_job ON job_resources (job_id, open_mark);
CREATE INDEX job_resources_by_open ON job_resources (open_mark, id);

CREATE TABLE restore_jobs (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    backup_id VARCHAR(400) NOT NULL,
    device_key BIGINT NOT NULL,
    target_path TEXT NOT NULL,
    format VARCHAR(32) NOT NULL,
    state VARCHAR(16) NOT NULL CHECK (state IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    current_phase VARCHAR(64) NOT NULL,
    bytes_total BIGINT NOT NULL,
    bytes_done BIGINT NOT NULL,
    bad_ranges TEXT,
    requested_by TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    started_us BIGINT,
    completed_us BIGINT,
    error_code VARCHAR(64),
    error_phase VARCHAR(64),
    error_message TEXT
);
CREATE INDEX restore_jobs_by_time ON restore_jobs (created_us, id);
CREATE INDEX restore_jobs_by_backup ON restore_jobs (backup_id, created_us);
CREATE INDEX restore_jobs_by_state ON restore_jobs (state, created_us);

CREATE TABLE verify_jobs (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    backup_id VARCHAR(400) NOT NULL,
    state VARCHAR(16) NOT NULL CHECK (state IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    current_phase VARCHAR(64) NOT NULL,
    bytes_total BIGINT NOT NULL,
    bytes_done BIGINT NOT NULL,
    bad_ranges TEXT,
    requested_by TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    started_us BIGINT,
    completed_us BIGINT,
    error_code VARCHAR(64),
    error_phase VARCHAR(64),
    error_message TEXT
);
CREATE INDEX verify_jobs_by_time ON verify_jobs (created_us, id);
CREATE INDEX verify_jobs_by_backup ON verify_jobs (backup_id, created_us);
CREATE INDEX verify_jobs_by_state ON verify_jobs (state, created_us);

CREATE TABLE events (
    id BIGINT NOT NULL PRIMARY KEY,
    time_us BIGINT NOT NULL,
    severity VARCHAR(16) NOT NULL CHECK (severity IN ('info', 'warning', 'error')),
    type VARCHAR(64) NOT NULL,
    code VARCHAR(64),
    message TEXT NOT NULL,
    job_id VARCHAR(36),
    backup_id VARCHAR(400),
    vm_id VARCHAR(36),
    actor TEXT
);
CREATE INDEX events_by_job ON events (job_id, id);
