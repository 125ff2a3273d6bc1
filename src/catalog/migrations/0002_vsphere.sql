-- VMs of a vCenter or ESXi host: how to log in, what discovery said of a VM and its disks, what a backup left out.

CREATE TABLE vmware_credentials (
    id VARCHAR(20) NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (LENGTH(name) BETWEEN 1 AND 255),
    url TEXT NOT NULL,
    username TEXT NOT NULL,
    sealed_password TEXT NOT NULL,
    tls_sha256 VARCHAR(64),
    tls_ca_pem TEXT,
    node_id VARCHAR(20) NOT NULL,
    created_us BIGINT NOT NULL,
    CHECK ((tls_sha256 IS NULL AND tls_ca_pem IS NOT NULL) OR (tls_sha256 IS NOT NULL AND tls_ca_pem IS NULL)),
    FOREIGN KEY (node_id) REFERENCES nodes (id)
);
CREATE INDEX vmware_credentials_by_node ON vmware_credentials (node_id);

ALTER TABLE vms ADD COLUMN credential_id VARCHAR(20) REFERENCES vmware_credentials (id);
ALTER TABLE vms ADD COLUMN moref VARCHAR(255);
ALTER TABLE vms ADD COLUMN instance_uuid VARCHAR(64);
ALTER TABLE vms ADD COLUMN platform TEXT;
ALTER TABLE vms ADD COLUMN discovered_us BIGINT;
CREATE INDEX vms_by_credential ON vms (credential_id, instance_uuid);
CREATE INDEX vms_by_instance_uuid ON vms (instance_uuid);

ALTER TABLE vm_disks ADD COLUMN source_uuid VARCHAR(255);
ALTER TABLE vm_disks ADD COLUMN bus VARCHAR(16);
ALTER TABLE vm_disks ADD COLUMN bus_number BIGINT;
ALTER TABLE vm_disks ADD COLUMN unit_number BIGINT;
ALTER TABLE vm_disks ADD COLUMN backing VARCHAR(32);
ALTER TABLE vm_disks ADD COLUMN file TEXT;
ALTER TABLE vm_disks ADD COLUMN base_file TEXT;
ALTER TABLE vm_disks ADD COLUMN datastore TEXT;
ALTER TABLE vm_disks ADD COLUMN not_protected VARCHAR(64);
ALTER TABLE vm_disks ADD COLUMN not_protected_message TEXT;

ALTER TABLE backup_jobs ADD COLUMN snapshot_name VARCHAR(255);
ALTER TABLE backup_jobs ADD COLUMN quiesced VARCHAR(8) CHECK (quiesced IN ('yes', 'no'));
ALTER TABLE backup_jobs ADD COLUMN not_protected TEXT;

ALTER TABLE backup_disks ADD COLUMN source_uuid VARCHAR(255);
