-- Responses: the object without its output.
CREATE TABLE response (
    id TEXT NOT NULL UNIQUE,
    created_s REAL NOT NULL,
    used_s REAL NOT NULL,
    size_bytes INTEGER NOT NULL,
    previous_id TEXT,
    conversation_id TEXT,
    running INTEGER NOT NULL,
    body BLOB NOT NULL
);

CREATE INDEX response_used ON response (used_s);

CREATE TABLE conversation (
    id TEXT NOT NULL UNIQUE,
    created_s REAL NOT NULL,
    used_s REAL NOT NULL,
    size_bytes INTEGER NOT NULL,
    metadata BLOB NOT NULL
);

CREATE INDEX conversation_used ON conversation (used_s);

-- What a response was asked (part 0) and answered (part 1), or what a conversation holds (part 0).
CREATE TABLE item (
    owner TEXT NOT NULL,
    part INTEGER NOT NULL,
    position INTEGER NOT NULL,
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (owner, part, position)
);

CREATE INDEX item_id ON item (id);
