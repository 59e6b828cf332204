CREATE TABLE file (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    purpose TEXT NOT NULL,
    filename TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    created_s INTEGER NOT NULL,
    expires_s INTEGER
);
CREATE INDEX file_expires ON file (expires_s);
