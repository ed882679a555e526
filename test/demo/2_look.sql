\echo
\echo '2. The graph that they form: two teams'' branches, and where they meet'
\echo
SELECT * FROM algo_ref.graph();
\echo
\echo 'Its heads and branch points:'
\echo
SELECT revision, message, branch_labels, is_effective FROM algo_ref.heads();
SELECT revision, message, children FROM algo_ref.branches();
\echo 'What an upgrade would do (the first and the last steps; nothing runs yet):'
\echo
SELECT ordinal, direction, revision, message, heads_after
FROM algo_ref.plan('heads') AS p, (SELECT count(*) FROM algo_ref.plan('heads')) AS c (steps)
WHERE ordinal <= 3 OR ordinal > steps - 3
ORDER BY ordinal;
