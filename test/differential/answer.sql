-- Answers a case: registers its revisions, asks, and rolls the revisions back.
-- A revision that cannot be registered refuses every question.
-- Each answer is {"answer": ...} or {"refused": SQLSTATE, "message": ...}.

\set ON_ERROR_STOP on
SET client_min_messages = error;

CREATE FUNCTION pg_temp.ask(kind text, target text, from_rows text[]) RETURNS jsonb
LANGUAGE plpgsql AS $ask$
DECLARE
  result jsonb;
BEGIN
  CASE kind
    WHEN 'resolve' THEN
      SELECT jsonb_agg(r) INTO result FROM algo_ref.resolve(target) r;
    WHEN 'heads' THEN
      SELECT jsonb_agg(revision) INTO result FROM algo_ref.heads();
    WHEN 'bases' THEN
      SELECT jsonb_agg(revision) INTO result FROM algo_ref.bases();
    WHEN 'current' THEN
      DELETE FROM algo_ref.version;
      INSERT INTO algo_ref.version SELECT 'public', row, place, now()
        FROM unnest(from_rows) WITH ORDINALITY AS u(row, place);
      SELECT jsonb_agg(revision) INTO result FROM algo_ref.current('public');
    WHEN 'branches' THEN
      SELECT jsonb_agg(revision) INTO result FROM algo_ref.branches();
    WHEN 'history' THEN
      SELECT jsonb_agg(revision) INTO result FROM algo_ref.history(target);
    ELSE
      SELECT jsonb_agg(jsonb_build_array(revision, heads_after) ORDER BY ordinal) INTO result
        FROM algo_ref.plan(target, kind, from_rows);
  END CASE;
  RETURN jsonb_build_object('answer', coalesce(result, '[]'));
EXCEPTION WHEN OTHERS THEN
  RETURN jsonb_build_object('refused', SQLSTATE, 'message', SQLERRM);
END
$ask$;

CREATE FUNCTION pg_temp.strings(value jsonb) RETURNS text[] LANGUAGE sql AS
$$SELECT CASE jsonb_typeof(value) WHEN 'array'
    THEN ARRAY(SELECT jsonb_array_elements_text(value)) END$$;

CREATE FUNCTION pg_temp.answer(asked jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $answer$
DECLARE
  item jsonb;
  answers jsonb := '[]';
BEGIN
  BEGIN
    FOR item IN SELECT * FROM jsonb_array_elements(asked -> 'revisions') LOOP
      PERFORM algo_ref.revision('m', id => item ->> 0,
        revises => pg_temp.strings(item -> 1), branch_labels => pg_temp.strings(item -> 2),
        depends_on => pg_temp.strings(item -> 3));
    END LOOP;
    FOR item IN SELECT * FROM jsonb_array_elements(asked -> 'questions') LOOP
      answers := answers || pg_temp.ask(item ->> 0, item ->> 1, pg_temp.strings(item -> 2));
    END LOOP;
    RAISE EXCEPTION USING ERRCODE = 'DIFF0';
  EXCEPTION WHEN SQLSTATE 'DIFF0' THEN
    NULL;
  WHEN OTHERS THEN
    SELECT jsonb_agg(jsonb_build_object('refused', SQLSTATE, 'message', SQLERRM)) INTO answers
      FROM jsonb_array_elements(asked -> 'questions');
  END;
  RETURN answers;
END
$answer$;
