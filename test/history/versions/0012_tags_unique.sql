SELECT algo_ref.revision(
  message => 'tags are unique whatever the case',
  id => 'f1903bc75e12',
  revises => '{48e2a6cd0f11}',
  upgrade => $upgrade$
CREATE TEMPORARY TABLE work ON COMMIT DROP AS
SELECT id, first_value(id) OVER same AS keep, row_number() OVER same AS place
  FROM tags
WINDOW same AS (PARTITION BY lower(name) ORDER BY id);
CREATE UNIQUE INDEX ON work (id);
ANALYZE work;

INSERT INTO post_tags (post_id, tag_id)
SELECT pt.post_id, w.keep
  FROM post_tags pt JOIN work w ON w.id = pt.tag_id
 WHERE w.place > 1
ON CONFLICT DO NOTHING;
DELETE FROM post_tags pt USING work w WHERE w.id = pt.tag_id AND w.place > 1;
DELETE FROM tags t USING work w WHERE w.id = t.id AND w.place > 1;

CREATE UNIQUE INDEX tags_name_key ON tags (lower(name));
$upgrade$,
  downgrade => $downgrade$
-- What was merged stays merged.
DROP INDEX tags_name_key;
$downgrade$);
