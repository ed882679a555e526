SELECT algo_ref.revision(
  message => 'nothing in the database: marks a release of the application',
  id => '8c25f7a09e34',
  revises => '{3b90ed5f1833}',
  upgrade => $upgrade$
-- nothing to do; /* really
/* nothing */ ;; ;
$upgrade$,
  downgrade => $downgrade$-- nothing$downgrade$);
