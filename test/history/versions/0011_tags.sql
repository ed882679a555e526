SELECT algo_ref.revision(
  message => 'tags',
  id => '48e2a6cd0f11',
  revises => '{d07b51e9fa10}',
  upgrade => $upgrade$
CREATE TABLE tags (
    id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL
);
CREATE TABLE post_tags (
    post_id bigint NOT NULL REFERENCES posts ON DELETE CASCADE,
    tag_id  integer NOT NULL REFERENCES tags,
    PRIMARY KEY (post_id, tag_id)
);

-- The import of the old site: the same tag in several spellings.
INSERT INTO tags (name) VALUES
    ('databases'), ('Databases'), ('DATABASES'),
    (U&'caf\00e9'), (E'CAF\u00C9'), (U&'d!0061ta' UESCAPE '!'),
    ('semi;colon'), ('don''t'), ($tag$dollar $1 'quoted'$tag$), (E'back\\slash\';--');

INSERT INTO post_tags (post_id, tag_id)
SELECT p.id, t.id
  FROM posts p JOIN tags t ON (p.id + t.id) % 3 = 0;
$upgrade$,
  downgrade => $downgrade$
DROP TABLE post_tags, tags;
$downgrade$);
