CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;

-- One row for each request: the fields of ghostd.types.LedgerRow. NULL is "nobody said".
CREATE TABLE request (
    id TEXT NOT NULL UNIQUE,
    time_s REAL NOT NULL,
    operation TEXT NOT NULL,
    client TEXT NOT NULL,
    project TEXT NOT NULL,
    model TEXT NOT NULL,
    route TEXT NOT NULL,
    deployment TEXT NOT NULL,
    provider TEXT NOT NULL,
    status TEXT NOT NULL,
    http_status INTEGER NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    latency_ms REAL NOT NULL,
    first_byte_ms REAL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cached_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost_usd REAL,
    cache TEXT NOT NULL,
    reason TEXT NOT NULL,
    experiment TEXT NOT NULL,
    session TEXT NOT NULL,
    features TEXT NOT NULL
);

CREATE INDEX request_time ON request (time_s);
CREATE INDEX request_experiment ON request (experiment) WHERE experiment != '';

-- What became of a reply: the fields of ghostd.types.Outcome.
CREATE TABLE outcome (
    id TEXT NOT NULL UNIQUE,
    request_id TEXT NOT NULL,
    time_s REAL NOT NULL,
    kind TEXT NOT NULL,
    value REAL NOT NULL
);

CREATE INDEX outcome_request ON outcome (request_id);
CREATE INDEX outcome_time ON outcome (time_s);
