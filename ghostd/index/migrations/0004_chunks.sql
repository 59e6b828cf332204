-- Chunks have another form. The old ones are forgotten; the other version of what reads files has them read again.
DELETE FROM segment;
DELETE FROM content WHERE size = 0;
UPDATE content SET chunks = 0, postings = 0, segment = NULL;
UPDATE parsed SET chunks = x'';
