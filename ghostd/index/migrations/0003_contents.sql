-- What is known of a file hangs on its content: equal files share it, and what no file has any more is kept for a
-- while, so that going back to it costs nothing.
DROP TABLE parsed;
DROP TABLE definition;
DROP TABLE use;

CREATE TABLE content (
    -- Never given again: segments name contents.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- NULL: made by another extractor, or kept only because a segment names it.
    hash BLOB,
    language TEXT NOT NULL,
    symbols INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    imports INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    postings INTEGER NOT NULL,
    -- Of its blobs; 0: they are gone, and only a segment still names the content.
    size INTEGER NOT NULL,
    -- The generation that took its last file away; NULL while a file has it.
    released INTEGER,
    -- The segment that has its chunks.
    segment INTEGER,
    UNIQUE (hash, language)
);

CREATE INDEX content_released ON content (released, id, size) WHERE released IS NOT NULL;
CREATE INDEX content_in_no_segment ON content (id, chunks, postings) WHERE segment IS NULL AND postings > 0;
CREATE INDEX content_in_segment ON content (segment) WHERE segment IS NOT NULL;

-- Definitions and imports (NULL where there is no grammar) and uses (ghostd/index/rows.py), and chunks
-- (ghostd/index/chunks.py).
CREATE TABLE parsed (
    content_id INTEGER PRIMARY KEY,
    outline BLOB,
    uses BLOB NOT NULL,
    chunks BLOB NOT NULL
);

CREATE TABLE definition (
    name TEXT NOT NULL,
    content_id INTEGER NOT NULL,
    PRIMARY KEY (name, content_id)
) WITHOUT ROWID;

-- Which contents use a name, by the name's CRC-32; the name itself is in the content's blob.
CREATE TABLE use (
    name_crc INTEGER NOT NULL,
    content_id INTEGER NOT NULL,
    PRIMARY KEY (name_crc, content_id)
) WITHOUT ROWID;

-- Files of chunks beside the store.
CREATE TABLE segment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    chunks INTEGER NOT NULL,
    postings INTEGER NOT NULL
);

ALTER TABLE file ADD COLUMN content_id INTEGER;
CREATE INDEX file_content ON file (content_id, path) WHERE content_id IS NOT NULL;
-- Every file is read again.
UPDATE file SET settled = 0, hash = iif(problem IS NULL, zeroblob(16), NULL);
