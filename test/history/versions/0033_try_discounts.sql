SELECT algo_ref.revision(
  message => 'discounts, tried within savepoints',
  id => '3b90ed5f1833',
  revises => '{d6a8341c7f32}',
  upgrade => $upgrade$
ALTER TABLE prices ADD COLUMN discount numeric(3, 2) NOT NULL DEFAULT 0;
SAVEPOINT wrong;
UPDATE prices SET discount = 0.99;
CREATE TABLE not_wanted (id integer);
ROLLBACK TO SAVEPOINT wrong;
UPDATE prices SET discount = 0.10 WHERE code = 'site';
RELEASE wrong;
SAVEPOINT outer_one;
UPDATE prices SET seen = seen + 10 WHERE code = 'post';
SAVEPOINT inner_one;
UPDATE prices SET seen = -1;
ROLLBACK TO inner_one;
RELEASE SAVEPOINT outer_one;
ALTER TABLE prices ADD CONSTRAINT prices_discount_check CHECK (discount BETWEEN 0 AND 0.5);
$upgrade$,
  downgrade => $downgrade$
ALTER TABLE prices DROP COLUMN discount;
UPDATE prices SET seen = seen - 10 WHERE code = 'post';
$downgrade$);
