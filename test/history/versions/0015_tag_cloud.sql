SELECT algo_ref.revision(
  message => 'a materialised tag cloud',
  id => '6af127c8e015',
  revises => '{9ec650d1b714}',
  upgrade => $upgrade$
CREATE MATERIALIZED VIEW tag_cloud AS
    SELECT t.id, t.name, count(p.id) AS posts
      FROM tags t
      LEFT JOIN post_tags pt ON pt.tag_id = t.id
      LEFT JOIN published_posts p ON p.id = pt.post_id
     GROUP BY t.id, t.name
WITH NO DATA;
CREATE UNIQUE INDEX tag_cloud_id ON tag_cloud (id);
CREATE INDEX tag_cloud_posts ON tag_cloud (posts DESC, name COLLATE "C");
REFRESH MATERIALIZED VIEW tag_cloud;
COMMENT ON MATERIALIZED VIEW tag_cloud IS E'refreshed at night;\n\tnot more often';
$upgrade$,
  downgrade => $downgrade$
DROP MATERIALIZED VIEW tag_cloud;
$downgrade$);
