-- What is known of each disk of a backup by itself: damage of one disk is not damage of the others.

ALTER TABLE backup_disks ADD COLUMN verification VARCHAR(32) NOT NULL DEFAULT 'none';
UPDATE backup_disks SET verification = (SELECT backup_jobs.verification FROM backup_jobs WHERE backup_jobs.job_id = backup_disks.job_id);
