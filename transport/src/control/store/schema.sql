-- What the store keeps: who may call, and nothing about those who are called.
-- One text for SQLite and PostgreSQL. Times are Unix seconds; 0 and 1 are false and true.

CREATE TABLE project (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- The operators' own addresses, for alerts; never a recipient's.
CREATE TABLE project_alert (
    project_id BIGINT NOT NULL REFERENCES project (id),
    address TEXT NOT NULL,
    PRIMARY KEY (project_id, address)
);

CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES project (id),
    class TEXT NOT NULL CHECK (class IN ('secret', 'restricted')),
    test BIGINT NOT NULL CHECK (test IN (0, 1)),
    native BIGINT NOT NULL CHECK (native IN (0, 1)),
    -- SHA-256 of the key in hexadecimal. The key itself is nowhere.
    digest TEXT NOT NULL UNIQUE,
    last_four TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    successor TEXT
);

CREATE TABLE key_origin (
    key_id TEXT NOT NULL REFERENCES api_key (id),
    rule TEXT NOT NULL,
    PRIMARY KEY (key_id, rule)
);

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Counted up by every change, as its first statement: it orders the writers and tells the readers.
CREATE TABLE revision (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    number BIGINT NOT NULL
);
INSERT INTO revision (one, number) VALUES (1, 1);
