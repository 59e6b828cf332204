-- root, model (with what else decides on the vectors), dimensions, and the number of the file of codes in force.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;

-- A text whose chunks have vectors. Its codes stand in the file of codes from first_row on.
CREATE TABLE content (
    hash BLOB PRIMARY KEY,
    first_row INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    -- Of each row: first and last line (uint32), the factor of its codes (float32), and 8 bytes of its text's hash.
    lines BLOB NOT NULL,
    scales BLOB NOT NULL,
    texts BLOB NOT NULL,
    -- CRC-32 of the codes.
    checksum INTEGER NOT NULL
) WITHOUT ROWID;
