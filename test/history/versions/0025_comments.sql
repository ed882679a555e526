SELECT algo_ref.revision(
  message => 'comments, a partition for each year',
  id => '5e29c7b40f25',
  revises => '{84b05ae1cd24}',
  upgrade => $upgrade$
CREATE TABLE comments (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    post_id    bigint NOT NULL REFERENCES posts ON DELETE CASCADE,
    user_id    bigint REFERENCES users ON DELETE SET NULL,
    body       text NOT NULL,
    written_at timestamptz NOT NULL
) PARTITION BY RANGE (written_at);
CREATE INDEX comments_post ON comments (post_id, written_at);

DO $$
BEGIN
    FOR year IN 2019 .. 2021 LOOP
        EXECUTE format($ddl$
            CREATE TABLE %I PARTITION OF comments (CHECK (body <> ''))
            FOR VALUES FROM (%L) TO (%L)$ddl$,
            'comments_' || year,
            make_timestamptz(year, 1, 1, 0, 0, 0, 'UTC'),
            make_timestamptz(year + 1, 1, 1, 0, 0, 0, 'UTC'));
    END LOOP;
END;
$$;
CREATE TABLE comments_other PARTITION OF comments DEFAULT;

INSERT INTO comments (post_id, user_id, body, written_at)
SELECT p.id, p.author_id, 'comment ' || n, make_timestamptz(2018 + n, 6, 1, 12, 0, 0, 'UTC')
  FROM posts p CROSS JOIN generate_series(1, 4) n;
$upgrade$,
  downgrade => $downgrade$
DROP TABLE comments;
$downgrade$);
