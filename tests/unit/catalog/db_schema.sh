#!/bin/sh
# db_schema.sh MAKE_CATALOG SOURCE_DIR: the page equals the live schema, and the comparison sees each kind of change.
set -eu
make_catalog=$1
lint=$2/tests/lint/db_schema
doc=$2/docs/DB_SCHEMA.md
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0

"$make_catalog" "$dir/c.db"
if "$lint" "$dir/c.db" "$doc"; then
    echo "ok 1 - the page equals the schema"
else
    echo "not ok 1 - the page equals the schema"
fi
n=1
# Each change of the database must be seen and named.
while IFS='|' read -r expect sql; do
    n=$((n + 1))
    cp "$dir/c.db" "$dir/x.db"
    python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.executescript(sys.argv[2])' "$dir/x.db" "$sql"
    if "$lint" "$dir/x.db" "$doc" >"$dir/out"; then
        echo "not ok $n - unseen: $sql"
    elif grep -q -- "$expect" "$dir/out"; then
        echo "ok $n - seen: $sql"
    else
        echo "not ok $n - not named: $sql"
    fi
done <<'CHANGES'
events.extra|ALTER TABLE events ADD COLUMN extra TEXT
vms.label|ALTER TABLE vms RENAME COLUMN name TO label
events.actor|ALTER TABLE events DROP COLUMN actor
table extra|CREATE TABLE extra (x BIGINT)
table meta is documented|DROP TABLE meta
events_by_job|DROP INDEX events_by_job
events_by_time|CREATE INDEX events_by_time ON events (time_us)
meta.value|DROP TABLE meta; CREATE TABLE meta (name VARCHAR(64) NOT NULL PRIMARY KEY, value TEXT)
meta.value|DROP TABLE meta; CREATE TABLE meta (name VARCHAR(64) NOT NULL PRIMARY KEY, value BLOB NOT NULL)
meta.value|DROP TABLE meta; CREATE TABLE meta (name VARCHAR(64) NOT NULL PRIMARY KEY, value TEXT NOT NULL UNIQUE)
meta.name|DROP TABLE meta; CREATE TABLE meta (name VARCHAR(64) NOT NULL, value TEXT NOT NULL)
meta.value|DROP TABLE meta; CREATE TABLE meta (name VARCHAR(64) NOT NULL PRIMARY KEY, value TEXT NOT NULL REFERENCES vms (id))
meta: unique|DROP TABLE meta; CREATE TABLE meta (name VARCHAR(64) NOT NULL PRIMARY KEY, value TEXT NOT NULL, UNIQUE (name, value))
view v|CREATE VIEW v AS SELECT 1
CHANGES
# A change of the page, too.
n=$((n + 1))
grep -v '^| .nbd_targets_string. |' "$doc" >"$dir/doc.md"
if "$lint" "$dir/c.db" "$dir/doc.md" >"$dir/out"; then
    echo "not ok $n - a missing line of the page"
else
    echo "ok $n - a missing line of the page"
fi
echo "1..$n"
