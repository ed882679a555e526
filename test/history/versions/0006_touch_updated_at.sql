SELECT algo_ref.revision(
  message => 'updated_at, kept by a row trigger',
  id => '7f18d0a5e606',
  revises => '{e26a4c93b705}',
  upgrade => $upgrade$
ALTER TABLE users ADD COLUMN updated_at timestamptz;

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    -- A quoted $body within; and a dollar quote in the dollar quote.
    how text := $how$it's "touched"; by $trigger$ and all$how$;
BEGIN
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.updated_at := clock_timestamp();
    END IF;
    RAISE DEBUG '%: %', TG_TABLE_NAME, how;
    RETURN NEW;
END;
$body$;

CREATE TRIGGER users_touch BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- The function writes what has to be the same in all environments.
DO $outer$
BEGIN
    EXECUTE $inner$
        COMMENT ON FUNCTION touch_updated_at() IS $comment$sets updated_at; see "users_touch"$comment$
    $inner$;
END;
$outer$;
$upgrade$,
  downgrade => $downgrade$
DROP TRIGGER users_touch ON users;
DROP FUNCTION touch_updated_at();
ALTER TABLE users DROP COLUMN updated_at;
$downgrade$);
