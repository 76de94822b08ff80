-- Writes down every move of a task, so that a test can read afterwards what happened in between.
CREATE TABLE moves_seen (
    number bigint GENERATED ALWAYS AS IDENTITY,
    task_id uuid,
    was text,
    becomes text,
    was_attempt integer,
    attempt integer,
    was_token uuid,
    token uuid
);
CREATE FUNCTION see_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO moves_seen (task_id, was, becomes, was_attempt, attempt, was_token, token)
    VALUES (NEW.task_id, OLD.status, NEW.status, OLD.attempt, NEW.attempt, OLD.lease_token, NEW.lease_token);
    RETURN NULL;
END $$;
CREATE TRIGGER see_move AFTER UPDATE ON tasks FOR EACH ROW
WHEN ((OLD.status, OLD.attempt, OLD.lease_token) IS DISTINCT FROM (NEW.status, NEW.attempt, NEW.lease_token))
EXECUTE FUNCTION see_move();
