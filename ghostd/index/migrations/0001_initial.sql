CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;

-- Every regular file that was looked at. `problem` is why it is left out, NULL for an indexed file.
CREATE TABLE file (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    language TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    -- 0: it was written so shortly before it was read that the next pass must compare contents again.
    settled INTEGER NOT NULL,
    hash BLOB,
    problem TEXT,
    symbols INTEGER NOT NULL DEFAULT 0,
    uses INTEGER NOT NULL DEFAULT 0,
    imports INTEGER NOT NULL DEFAULT 0
);

-- Definitions and imports, and uses, of one parsed file: see ghostd/index/rows.py.
CREATE TABLE parsed (
    file_id INTEGER PRIMARY KEY,
    outline BLOB NOT NULL,
    uses BLOB NOT NULL
);

CREATE TABLE definition (
    name TEXT NOT NULL,
    file_id INTEGER NOT NULL,
    PRIMARY KEY (name, file_id)
) WITHOUT ROWID;

-- Which files use a name, by the name's CRC-32; the name itself is in the file's blob.
CREATE TABLE use (
    name_crc INTEGER NOT NULL,
    file_id INTEGER NOT NULL,
    PRIMARY KEY (name_crc, file_id)
) WITHOUT ROWID;

-- What the last complete pass left out, besides files with a problem.
CREATE TABLE skip (
    path TEXT PRIMARY KEY,
    reason TEXT NOT NULL
) WITHOUT ROWID;
