-- Backups that go on after an interruption: what another attempt, or another hub, needs.

ALTER TABLE backup_jobs ADD COLUMN retries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE backup_jobs ADD COLUMN retry_delay_s BIGINT NOT NULL DEFAULT 0;
ALTER TABLE backup_jobs ADD COLUMN limits TEXT;
ALTER TABLE backup_jobs ADD COLUMN quiesce VARCHAR(16);
ALTER TABLE backup_jobs ADD COLUMN snapshot_ref TEXT;
ALTER TABLE backup_jobs ADD COLUMN snapshot_chain TEXT;
ALTER TABLE backup_jobs ADD COLUMN moment_us BIGINT;
ALTER TABLE backup_jobs ADD COLUMN interrupted_us BIGINT;
ALTER TABLE backup_jobs ADD COLUMN interrupted_code VARCHAR(64);
ALTER TABLE backup_jobs ADD COLUMN interrupted_message TEXT;
ALTER TABLE backup_disks ADD COLUMN checkpoint_block BIGINT NOT NULL DEFAULT 0;
ALTER TABLE backup_disks ADD COLUMN checkpoint_records BIGINT NOT NULL DEFAULT 0;
