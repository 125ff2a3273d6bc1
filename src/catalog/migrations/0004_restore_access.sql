-- Restores that salvage a damaged point, and exports that are opened for a while.

ALTER TABLE restore_jobs ADD COLUMN salvaged_us BIGINT;

CREATE TABLE restore_exports (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    backup_id VARCHAR(400) NOT NULL,
    state VARCHAR(16) NOT NULL CHECK (state IN ('opening', 'open', 'closed', 'failed')),
    access VARCHAR(16) NOT NULL CHECK (access IN ('read_only', 'scratch')),
    listen VARCHAR(64) NOT NULL,
    disks TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    closed_us BIGINT,
    close_reason VARCHAR(32),
    error_code VARCHAR(64),
    error_message TEXT
);
CREATE INDEX restore_exports_by_time ON restore_exports (created_us, id);
CREATE INDEX restore_exports_by_state ON restore_exports (state, created_us);
