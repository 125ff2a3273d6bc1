-- Which file of its history a disk of a snapshot was: what the next incremental must still be standing on.

ALTER TABLE backup_disks ADD COLUMN frozen_file TEXT;
ALTER TABLE backup_disks ADD COLUMN frozen_on TEXT;
