-- What encloses the definitions of this name there, a line each; NULL: the outline must be read to know.
ALTER TABLE definition ADD COLUMN containers TEXT;
