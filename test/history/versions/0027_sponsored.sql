-- The content team needs the billing team's tables, by the label of its branch.
SELECT algo_ref.revision(
  message => 'sponsored posts',
  id => '2ac16b95d827',
  revises => '{b8074d1fea26}',
  depends_on => '{billing}',
  upgrade => $upgrade$
CREATE TABLE sponsored (
    post_id    bigint PRIMARY KEY REFERENCES posts ON DELETE CASCADE,
    invoice_id bigint NOT NULL REFERENCES invoices DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO sponsored (post_id, invoice_id)
SELECT p.id, i.id
  FROM posts p
  JOIN accounts a ON a.user_id = p.author_id
  JOIN invoices i ON i.account_id = a.id AND lower(i.period) = '2020-01-01'
 WHERE p.published_at IS NULL AND a.name = 'main'
    ON CONFLICT (post_id) DO UPDATE SET invoice_id = EXCLUDED.invoice_id;
$upgrade$,
  downgrade => $downgrade$
DROP TABLE sponsored;
$downgrade$);
