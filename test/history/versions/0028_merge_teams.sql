SELECT algo_ref.revision(
  message => 'merge content and billing',
  id => 'f4d3806e5b28',
  revises => '{2ac16b95d827,1f6c93d7e023}',
  upgrade => '',
  downgrade => '');
