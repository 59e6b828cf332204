-- Sums over the indexed files, kept by the triggers: a status must not read every row.
CREATE TABLE totals (files INTEGER, symbols INTEGER, uses INTEGER, imports INTEGER, size INTEGER, problems INTEGER);

INSERT INTO totals
SELECT
    total(problem IS NULL), total(symbols), total(uses), total(imports), total(iif(problem IS NULL, size, 0)),
    total(problem IS NOT NULL)
FROM file;

CREATE TRIGGER file_added AFTER INSERT ON file BEGIN
    UPDATE totals SET
        files = files + (NEW.problem IS NULL),
        symbols = symbols + NEW.symbols,
        uses = uses + NEW.uses,
        imports = imports + NEW.imports,
        size = size + iif(NEW.problem IS NULL, NEW.size, 0),
        problems = problems + (NEW.problem IS NOT NULL);
END;

CREATE TRIGGER file_removed AFTER DELETE ON file BEGIN
    UPDATE totals SET
        files = files - (OLD.problem IS NULL),
        symbols = symbols - OLD.symbols,
        uses = uses - OLD.uses,
        imports = imports - OLD.imports,
        size = size - iif(OLD.problem IS NULL, OLD.size, 0),
        problems = problems - (OLD.problem IS NOT NULL);
END;

CREATE TRIGGER file_changed AFTER UPDATE OF size, problem, symbols, uses, imports ON file BEGIN
    UPDATE totals SET
        files = files + (NEW.problem IS NULL) - (OLD.problem IS NULL),
        symbols = symbols + NEW.symbols - OLD.symbols,
        uses = uses + NEW.uses - OLD.uses,
        imports = imports + NEW.imports - OLD.imports,
        size = size + iif(NEW.problem IS NULL, NEW.size, 0) - iif(OLD.problem IS NULL, OLD.size, 0),
        problems = problems + (NEW.problem IS NOT NULL) - (OLD.problem IS NOT NULL);
END;
