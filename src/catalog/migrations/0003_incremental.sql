-- Incrementals: where a disk was at the time of its backup, and what the audit of the source's own statements found.

ALTER TABLE backup_disks ADD COLUMN datastore TEXT;
ALTER TABLE backup_disks ADD COLUMN audit_sampled BIGINT;
ALTER TABLE backup_disks ADD COLUMN audit_bad BIGINT;
