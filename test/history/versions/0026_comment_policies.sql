SELECT algo_ref.revision(
  message => 'who may see a comment; statistics and indexes for it',
  id => 'b8074d1fea26',
  revises => '{5e29c7b40f25}',
  upgrade => $upgrade$
ALTER TABLE comments ENABLE ROW LEVEL SECURITY;
CREATE POLICY comments_read ON comments FOR SELECT USING (true);
CREATE POLICY comments_write ON comments AS PERMISSIVE FOR ALL TO CURRENT_USER
    USING (user_id = nullif(current_setting('app.user', true), '')::bigint)
    WITH CHECK (body <> '' AND body !~ ';\s*--');
CREATE POLICY comments_no_future ON comments AS RESTRICTIVE FOR INSERT
    WITH CHECK (written_at <= now());

CREATE STATISTICS comments_by_user (dependencies, ndistinct) ON post_id, user_id FROM comments;
CREATE STATISTICS posts_length ON (length(title)), (length(body)) FROM posts;
CREATE INDEX comments_loud ON comments ((upper(body))) WHERE body LIKE '%!';
CREATE INDEX posts_drafts ON posts (author_id, (lower(title)) text_pattern_ops DESC NULLS LAST)
    WHERE published_at IS NULL;
ALTER TABLE posts ALTER COLUMN author_id SET STATISTICS 500;
COMMENT ON POLICY comments_no_future ON comments IS 'no; not even tomorrow';
COMMENT ON STATISTICS comments_by_user IS $$people comment where they are: "dependencies"$$;
COMMENT ON INDEX posts_drafts IS NULL;
$upgrade$,
  downgrade => $downgrade$
ALTER TABLE posts ALTER COLUMN author_id SET STATISTICS -1;
DROP INDEX posts_drafts, comments_loud;
DROP STATISTICS posts_length, comments_by_user;
DROP POLICY comments_no_future ON comments;
DROP POLICY comments_write ON comments;
DROP POLICY comments_read ON comments;
ALTER TABLE comments DISABLE ROW LEVEL SECURITY;
$downgrade$);
