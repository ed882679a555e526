SELECT algo_ref.revision(
  message => 'posts have a slug',
  id => '2bd84fa06713',
  revises => '{f1903bc75e12}',
  upgrade => $upgrade$
CREATE FUNCTION slugify(text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN trim(BOTH '-' FROM regexp_replace(lower($1), '[^[:alnum:]]+', '-', 'g'));

ALTER TABLE posts ADD COLUMN slug text;

DO $$
DECLARE
    post record;
    n    integer;
BEGIN
    <<posts>>
    FOR post IN SELECT id, title FROM posts ORDER BY id LOOP
        n := 1;
        LOOP
            BEGIN
                UPDATE posts SET slug = slugify(post.title) || CASE WHEN n > 1 THEN '-' || n ELSE '' END
                 WHERE id = post.id
                   AND NOT EXISTS (SELECT FROM posts AS other WHERE other.slug =
                       slugify(post.title) || CASE WHEN n > 1 THEN '-' || n ELSE '' END);
                EXIT WHEN FOUND;
                n := n + 1;
            EXCEPTION WHEN unique_violation THEN
                n := n + 1;
            END;
        END LOOP;
    END LOOP posts;
END
$$;

ALTER TABLE posts ALTER COLUMN slug SET NOT NULL;
ALTER TABLE posts ADD CONSTRAINT posts_slug_key UNIQUE (slug);
$upgrade$,
  downgrade => $downgrade$
ALTER TABLE posts DROP COLUMN slug;
DROP FUNCTION slugify;
$downgrade$);
