-- A saga's wake-up moves with nearly every commit, mostly further away, and comes seldom. While it has an index, each of
-- those commits writes all indexes of its row anew, and vacuum cleans them up again over all sagas that ever were. So
-- what is indexed is a time that is never later than the wake-up, and stays where it is while the wake-up moves away.

ALTER TABLE sagas
    ADD COLUMN look_at timestamptz;                -- when to look at the wake-up
UPDATE sagas SET look_at = wake_up WHERE wake_up IS NOT NULL;
DROP INDEX sagas_wake_up;
CREATE INDEX sagas_look_at ON sagas (look_at) WHERE look_at IS NOT NULL AND quarantined_at IS NULL;

-- Whoever writes a wake-up, a program too that does not know of this.
CREATE FUNCTION look_at_wake_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.look_at := NEW.wake_up;
    RETURN NEW;
END
$$;
CREATE TRIGGER sagas_look_at BEFORE INSERT OR UPDATE OF wake_up ON sagas
FOR EACH ROW WHEN (NEW.look_at IS DISTINCT FROM NEW.wake_up AND (NEW.look_at <= NEW.wake_up) IS NOT TRUE)
EXECUTE FUNCTION look_at_wake_up();
