-- Asking the graph: two branches, labels, a dependency, a merge.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
RESET client_min_messages;
CREATE EXTENSION algo_ref;

CREATE FUNCTION pg_temp.steps(target text, direction text DEFAULT 'upgrade', from_heads text[] DEFAULT '{}')
RETURNS TABLE (step text, heads_after text) LANGUAGE sql AS
$$SELECT ordinal || ' ' || direction || ' ' || revision, array_to_string(heads_after, ' ')
  FROM algo_ref.plan(target, direction, from_heads)$$;

-- an empty graph
SELECT * FROM algo_ref.heads();
SELECT * FROM algo_ref.bases();
SELECT * FROM algo_ref.branches();
SELECT * FROM algo_ref.history();
SELECT * FROM algo_ref.current();
SELECT * FROM algo_ref.graph();
SELECT * FROM algo_ref.graph('mermaid');
SELECT * FROM algo_ref.graph('dot');
SELECT * FROM algo_ref.resolve('heads');
SELECT * FROM algo_ref.resolve('head');
SELECT * FROM algo_ref.plan('heads', 'upgrade', '{}');

--
--    a1 -- b1 -- c1 ------ m1 -- n1      core (a1), n1 "final"
--            \- d1 -- e1 -/              side (d1)
--    p1 -- q1 (after c1) -- r1           feed (p1)
--    x1                                  e1 depends on it: an effective head
--
SELECT algo_ref.revision('start', id => 'a1b2c3', revises => '{}', branch_labels => '{core}');
SELECT algo_ref.revision('accounts', id => 'b1ff00', revises => '{a1b2c3}');
SELECT algo_ref.revision('invoices', id => 'c1ab77', revises => '{b1ff00}');
SELECT algo_ref.revision('side begins', id => 'd1ab99', revises => '{b1ff00}', branch_labels => '{side}');
SELECT algo_ref.revision('extra', id => 'x10000', revises => '{}', branch_labels => '{extra}');
SELECT algo_ref.revision('side goes on', id => 'e10000', revises => '{d1ab99}', depends_on => '{extra}');
SELECT algo_ref.revision('feed begins', id => 'p10000', revises => '{}', branch_labels => '{feed}');
SELECT algo_ref.revision('feed needs invoices', id => 'q10000', revises => '{p10000}', depends_on => '{c1ab77}');

SELECT * FROM algo_ref.heads();
SELECT * FROM algo_ref.bases();
SELECT * FROM algo_ref.branches();
SELECT revision, revises, depends_on, branch_labels, is_head AS head, is_effective_head AS effective,
    is_branch_point AS branch, is_merge_point AS merge, is_current AS current
  FROM algo_ref.history();

-- a longer message is shown by its first paragraph
SELECT algo_ref.merge('{c1ab77,side@head}', E'join core\nand side\n\nThe rest is for the reader.', 'm10000');
SELECT algo_ref.revision('final', id => 'n10000', revises => '{m10000}', branch_labels => '{final}');
SELECT algo_ref.revision('feed goes on', id => 'r10000', revises => '{q10000}');

SELECT * FROM algo_ref.heads();
SELECT * FROM algo_ref.branches();
SELECT revision, message, is_head, is_effective_head, is_branch_point, is_merge_point FROM algo_ref.history();
SELECT * FROM algo_ref.graph();
SELECT * FROM algo_ref.graph('mermaid');
SELECT * FROM algo_ref.graph('dot');

-- what identifiers stand for
SELECT i AS identifier, ARRAY(SELECT algo_ref.resolve(i)) AS revisions
  FROM unnest('{heads,base,a1b2c3,a1b,a,core,cor,side,side@b1,side@heads,feed@head,feed@heads,final@head,extra@base,
    p10000@r,m10000@core,final@-1,feed@-1}'::text[]) WITH ORDINALITY AS u(i, n) ORDER BY n;

-- ranges
CREATE FUNCTION pg_temp.range(range text) RETURNS text LANGUAGE sql AS
$$SELECT string_agg(revision, ' ') FROM algo_ref.history(range)$$;
SELECT r AS range, pg_temp.range(r) AS revisions
  FROM unnest('{":",a1b2c3:,:c1,b1:side,side@base:,d1:n1,-1:,c1:+1,feed@base:,:extra,base:heads,c1ab77:c1}'::text[])
    WITH ORDINALITY AS u(r, n) ORDER BY n;

-- up: dependencies come first, and take the place of what they swallow
SELECT * FROM pg_temp.steps('heads');
SELECT * FROM pg_temp.steps('final');
SELECT * FROM pg_temp.steps('feed@head');
SELECT * FROM pg_temp.steps('+1', from_heads => '{a1b2c3}');
SELECT * FROM pg_temp.steps('side@+1', from_heads => '{c1ab77}');
SELECT * FROM pg_temp.steps('feed+1', from_heads => '{a1b2c3}');
SELECT * FROM pg_temp.steps('r1-1', from_heads => '{p10000,c1ab77}');
SELECT * FROM pg_temp.steps('feed@base+2');
SELECT * FROM pg_temp.steps('extra@base+1');
SELECT * FROM pg_temp.steps('c1, x1', from_heads => '{b1ff00}');
SELECT * FROM pg_temp.steps('a1', from_heads => '{n10000}');

-- down
SELECT * FROM pg_temp.steps('base', 'downgrade', '{n10000,r10000}');
SELECT * FROM pg_temp.steps('b1ff00', 'downgrade', '{n10000,r10000}');
SELECT * FROM pg_temp.steps('side@b1ff00', 'downgrade', '{c1ab77,e10000}');
SELECT * FROM pg_temp.steps('-1', 'downgrade', '{e10000,c1ab77}');
SELECT * FROM pg_temp.steps('feed@-1', 'downgrade', '{n10000,r10000}');
SELECT * FROM pg_temp.steps('feed@base', 'downgrade', '{n10000,r10000}');
SELECT * FROM pg_temp.steps('side-1', 'downgrade', '{e10000}');
SELECT * FROM pg_temp.steps('c1', 'downgrade', '{c1ab77}');

-- stamp: what is above or below a goal is replaced, the rest stays
SELECT * FROM pg_temp.steps('heads', 'stamp');
SELECT * FROM pg_temp.steps('heads', 'stamp', '{n10000,q10000}');
SELECT * FROM pg_temp.steps('b1', 'stamp', '{e10000,c1ab77}');
SELECT * FROM pg_temp.steps('side, c1', 'stamp', '{b1ff00,p10000}');
SELECT * FROM pg_temp.steps('base', 'stamp', '{e10000,c1ab77}');
SELECT * FROM pg_temp.steps('extra@base', 'stamp', '{e10000,c1ab77}');
SELECT * FROM pg_temp.steps('base, c1', 'stamp', '{c1ab77}');
-- rows that imply each other
SELECT * FROM pg_temp.steps('c1', 'stamp', '{c1ab77,b1ff00}');
SELECT * FROM pg_temp.steps('n1', 'upgrade', '{c1ab77,b1ff00,e10000}');

-- plan answers message and direction, too; its checksum follows the scripts
SELECT * FROM algo_ref.plan('c1', from_heads => '{a1b2c3}');
CREATE TEMP TABLE sum AS SELECT algo_ref.plan_checksum('final') AS before;
SELECT before ~ '^[0-9a-f]{64}$' AS is_checksum, before = algo_ref.plan_checksum('final') AS same,
    before = algo_ref.plan_checksum('heads') AS other_target FROM sum;
SELECT algo_ref.edit('c1ab77', upgrade => 'SELECT 1');
SELECT before = algo_ref.plan_checksum('final') AS other_script FROM sum;

-- where a schema stands
INSERT INTO algo_ref.version VALUES ('public', 'e10000', 1, '2020-02-02 02:02:02+00'),
  ('public', 'c1ab77', 2, '2020-02-03 02:02:02+00');
SELECT revision, message, is_head, since AT TIME ZONE 'UTC' AS since FROM algo_ref.current();
SELECT revision FROM algo_ref.history() WHERE is_current;
SELECT pg_temp.range('d1:'), pg_temp.range(':side');
SELECT revision, direction FROM algo_ref.plan('heads');
SELECT * FROM algo_ref.graph() WHERE graph ~ 'current';
UPDATE algo_ref.version SET revision = 'b1ff00' WHERE position = 1;
DELETE FROM algo_ref.version WHERE position = 2;
SELECT pg_temp.range('current:'), pg_temp.range(':current');
SELECT revision FROM algo_ref.show('current');
DELETE FROM algo_ref.version;

-- whole scripts
SELECT revision, message, revises, branch_labels, depends_on, author = current_user AS mine, transactional,
    length(checksum), upgrade, downgrade FROM algo_ref.show('c1');
SELECT revision, message FROM algo_ref.show('heads');
