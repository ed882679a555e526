\echo
\echo '5. The same revisions in a second schema, which has a state of its own'
\echo
SET client_min_messages = warning;
CREATE SCHEMA tenant;
SELECT count(*) AS "revisions applied" FROM algo_ref.upgrade('heads', schema => 'tenant');
SELECT count(*) AS "revisions undone" FROM algo_ref.downgrade('-1', schema => 'tenant');
SELECT schema, heads, behind, at_head FROM algo_ref.status ORDER BY schema;
