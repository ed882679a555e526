SELECT algo_ref.revision(
  message => 'split full_name into given and family name',
  id => '0b7e52d8fa04',
  revises => '{c5a90e11d403}',
  upgrade => $upgrade$
ALTER TABLE users ADD COLUMN given_name text, ADD COLUMN family_name text;

-- The last word is the family name; one word alone is the given name.
UPDATE users u
   SET given_name  = CASE WHEN n.words > 1
                          THEN array_to_string(n.word[1 : n.words - 1], ' ')
                          ELSE n.word[1] END,
       family_name = CASE WHEN n.words > 1 THEN n.word[n.words] ELSE '' END
  FROM (SELECT id, w AS word, cardinality(w) AS words
          FROM users, regexp_split_to_array(btrim(full_name), E'\\s+') AS w) n
 WHERE n.id = u.id;

ALTER TABLE users
    ALTER COLUMN given_name SET NOT NULL,
    ALTER COLUMN family_name SET NOT NULL,
    ALTER COLUMN family_name SET DEFAULT '',
    DROP COLUMN full_name;
$upgrade$,
  downgrade => $downgrade$
ALTER TABLE users ADD COLUMN full_name text;
UPDATE users SET full_name = rtrim(given_name || ' ' || family_name);
ALTER TABLE users ALTER COLUMN full_name SET NOT NULL;
ALTER TABLE users DROP COLUMN given_name, DROP COLUMN family_name;
$downgrade$);
