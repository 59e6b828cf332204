-- When the file last changed in any way (scan.changed_ns), and no longer only when it says that it was written.
ALTER TABLE file RENAME COLUMN mtime_ns TO changed_ns;
UPDATE file SET settled = 0;
