CREATE TABLE batch (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    ended_s INTEGER,
    record BLOB NOT NULL
);
CREATE INDEX batch_ended ON batch (ended_s);
