SELECT algo_ref.revision(
  message => 'a price list, merged from the import',
  id => 'd6a8341c7f32',
  revises => '{f4d3806e5b28}',
  upgrade => $upgrade$
CREATE TABLE prices (
    code  text PRIMARY KEY,
    price numeric(10, 2) NOT NULL,
    seen  integer NOT NULL DEFAULT 1
);
INSERT INTO prices (code, price) VALUES ('post', 1), ('tag', 2), ('comment', 3);

CREATE TEMPORARY TABLE work (code text, price numeric, gone boolean);
INSERT INTO work VALUES ('post', 1.5, false), ('tag', NULL, true), ('view', 0.01, false);

MERGE INTO prices AS p
USING work AS w ON w.code = p.code
WHEN MATCHED AND w.gone THEN DELETE
WHEN MATCHED THEN UPDATE SET price = w.price, seen = p.seen + 1
WHEN NOT MATCHED AND NOT w.gone THEN INSERT (code, price) VALUES (w.code, w.price);

INSERT INTO prices AS p (code, price)
VALUES ('view', 0.02), ('site', 99)
ON CONFLICT (code) DO UPDATE SET price = greatest(p.price, EXCLUDED.price), seen = p.seen + 1
    WHERE p.price < 10;
$upgrade$,
  downgrade => $downgrade$
DROP TABLE prices;
$downgrade$);
