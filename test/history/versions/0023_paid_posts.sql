-- The billing team needs the content team's table, by the id of its revision.
SELECT algo_ref.revision(
  message => 'posts that cost something',
  id => '1f6c93d7e023',
  revises => '{ad86f20c5922}',
  depends_on => '{d07b51e9fa10}',
  upgrade => $upgrade$
CREATE TABLE paid_posts (
    post_id bigint PRIMARY KEY REFERENCES posts ON DELETE CASCADE,
    price   numeric(10, 2) NOT NULL CHECK (price >= 0),
    since   daterange NOT NULL DEFAULT '[2020-01-01,)'
);

CREATE TEMP TABLE work (word text, price numeric);
INSERT INTO work VALUES ('1', 0.99), ('2', 1.99);
WITH priced AS (
    INSERT INTO paid_posts (post_id, price)
    SELECT p.id, w.price
      FROM posts p JOIN work w ON p.title LIKE 'Note ' || w.word || '%'
    RETURNING *
)
INSERT INTO audit (table_name, operation, rows, detail)
SELECT 'paid_posts', 'INSERT', count(*), jsonb_build_object('sum', sum(price))
  FROM priced;
$upgrade$,
  downgrade => $downgrade$
DROP TABLE paid_posts;
DELETE FROM audit WHERE table_name = 'paid_posts';
$downgrade$);
